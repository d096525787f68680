/*
 * floor PATH THREADS [CHECKS]: the least that a server of the protocol must do.
 * THREADS threads share one listener, and each repeats
 *
 *	accept4, recvmsg with the sender's credentials, send, close
 *
 * with blocking calls. It echoes the payload. A request that the socket's buffer
 * does not hold takes a recvmsg for every piece, each with its sender's
 * credentials. Anything but one frame of at most LIMIT bytes, and anything
 * without credentials, is closed without an answer. It has no timeouts, no limits
 * and no way to refuse: it is a measure, not a server.
 *
 * CHECKS is what it asks the kernel about the caller. See unix(7):
 *
 *	none      nothing
 *	peercred  who connected: getsockopt(SO_PEERCRED)
 *	scm       who sent: SO_PASSCRED, SCM_CREDENTIALS. The default
 *	both      both, and they must be the same user and group
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

/* The largest frame: 16 MiB of payload behind its header. What no request has
 * needed yet is address space and no memory. */
#define LIMIT (4 + 16 * 1024 * 1024)

/* As for every server that is compared; the kernel caps it at
 * net.core.somaxconn. See listen(2). */
#define BACKLOG 4096

static int listener;
static int ask_peer, ask_sender; /* CHECKS */

/* Gets who connected. */
static int get_peer(int fd, struct ucred *peer)
{
	socklen_t size = sizeof *peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0 &&
	    size == sizeof *peer;
}

/* Gets who sent what recvmsg received. */
static int get_sender(struct msghdr *msg, struct ucred *sender)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);

	if (head == NULL || head->cmsg_level != SOL_SOCKET ||
	    head->cmsg_type != SCM_CREDENTIALS ||
	    head->cmsg_len != CMSG_LEN(sizeof *sender))
		return 0;
	memcpy(sender, CMSG_DATA(head), sizeof *sender);
	return 1;
}

/* Receives a piece of at most size bytes, whose sender must be the user and group
 * that connected, if both are asked. Returns its size, 0 if there is none. */
static size_t receive(int fd, unsigned char *to, size_t size, const struct ucred *peer)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { to, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct ucred sender;
	ssize_t n;

	if (ask_sender) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control;
	}
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return 0;
	if (ask_sender && !get_sender(&msg, &sender))
		return 0;
	if (ask_peer && ask_sender &&
	    (peer->uid != sender.uid || peer->gid != sender.gid))
		return 0;
	return (size_t)n;
}

/* Answers one call. buf[0..4) is zero, the empty error frame; the request frame
 * is received behind it, so that both together are the answer. */
static void answer(int fd, unsigned char *buf)
{
	size_t frame = 4, got = 0, sent = 0;
	struct ucred peer;

	if (ask_peer && !get_peer(fd, &peer))
		return;
	while (got < frame) {
		size_t n = receive(fd, buf + 4 + got, LIMIT - got, &peer);
		uint32_t length;

		if (n == 0)
			return;
		got += n;
		if (got < 4)
			continue;
		memcpy(&length, buf + 4, sizeof length);
		frame = 4 + (size_t)ntohl(length);
		if (frame > LIMIT)
			return;
	}
	if (got > frame)
		return;
	while (sent < 4 + frame) {
		ssize_t n = send(fd, buf + sent, 4 + frame - sent, MSG_NOSIGNAL);

		if (n < 0)
			return; /* the load generator counts it */
		sent += (size_t)n;
	}
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

/* Sets what is asked, and returns 0 if there is no such word. */
static int parse_checks(const char *word)
{
	ask_peer = strcmp(word, "peercred") == 0 || strcmp(word, "both") == 0;
	ask_sender = strcmp(word, "scm") == 0 || strcmp(word, "both") == 0;
	return ask_peer || ask_sender || strcmp(word, "none") == 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int threads;

	if (argc < 3 || argc > 4 || strlen(argv[1]) >= sizeof address.sun_path ||
	    (threads = atoi(argv[2])) < 1 ||
	    !parse_checks(argc == 4 ? argv[3] : "scm")) {
		fputs("usage: floor PATH THREADS [none|peercred|scm|both]\n", stderr);
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		die("socket");
	if (setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &ask_sender, sizeof ask_sender) < 0)
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
