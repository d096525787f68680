/*
 * floor PATH THREADS: the least that a server of the protocol must do. THREADS
 * threads share one listener, and each repeats
 *
 *	accept4, recvmsg with the sender's credentials, send, close
 *
 * with blocking calls. It echoes the payload. A request must be one frame of at
 * most LIMIT bytes that arrives with one recvmsg: anything else, and anything
 * without credentials, is closed without an answer. It has no timeouts, no
 * limits and no way to refuse: it is a measure, not a server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One write of this size is one buffer in the kernel, so that one recvmsg gets
 * all of it; unix_stream_sendmsg splits much larger ones. */
#define LIMIT (32 * 1024)

/* As for every server that is compared; the kernel caps it at
 * net.core.somaxconn. See listen(2). */
#define BACKLOG 4096

static int listener;

/* Answers one call. buf[0..4) is zero, the empty error frame; the request frame
 * is received behind it, so that both together are the answer. */
static void answer(int fd, unsigned char *buf)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { buf + 4, LIMIT };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof control };
	struct cmsghdr *head;
	uint32_t length;
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

	if (n < 4)
		return;
	head = CMSG_FIRSTHDR(&msg);
	if (head == NULL || head->cmsg_level != SOL_SOCKET ||
	    head->cmsg_type != SCM_CREDENTIALS ||
	    head->cmsg_len != CMSG_LEN(sizeof(struct ucred)))
		return;
	memcpy(&length, buf + 4, sizeof length);
	if (ntohl(length) != (size_t)n - 4)
		return;
	/* A caller that is gone, or that left too little room, gets less: the
	 * load generator counts it. */
	(void)!send(fd, buf, (size_t)n + 4, MSG_NOSIGNAL);
}

static void *serve(void *unused)
{
	unsigned char *buf = calloc(1, 4 + LIMIT);

	(void)unused;
	if (buf == NULL)
		abort();
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue; /* the peer is gone already, or a signal */
		answer(fd, buf);
		close(fd);
	}
	return NULL;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int on = 1, threads;

	if (argc != 3 || strlen(argv[1]) >= sizeof address.sun_path ||
	    (threads = atoi(argv[2])) < 1) {
		fputs("usage: floor PATH THREADS\n", stderr);
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		die("socket");
	if (setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		die("SO_PASSCRED");
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
		die("bind");
	if (listen(listener, BACKLOG) < 0)
		die("listen");
	while (--threads > 0) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, NULL) != 0)
			die("pthread_create");
	}
	serve(NULL);
}
