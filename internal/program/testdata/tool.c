// The program that the tests run. The first byte of the request says what it does,
// the rest is its argument. It is small and static so that it starts quickly.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char **environ;
static char request[2 << 20];

static void put(const char *p, size_t n) {
	while (n > 0) {
		ssize_t w = write(1, p, n);
		if (w < 0) _exit(90);
		p += w;
		n -= w;
	}
}

static _Noreturn void rest_forever(void) {
	for (;;) pause();
}

// count counts itself in a file of one int as long as it runs, and says how many
// count themselves.
static _Noreturn void count(const char *path) {
	int fd = open(path, O_RDWR);
	int *running = mmap(NULL, sizeof *running, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (running == MAP_FAILED) _exit(91);
	dprintf(1, "%d", __atomic_add_fetch(running, 1, __ATOMIC_SEQ_CST));
	usleep(2000);
	__atomic_sub_fetch(running, 1, __ATOMIC_SEQ_CST);
	_exit(0);
}

int main(int argc, char **argv) {
	if (argc > 1 && !strcmp(argv[1], "unread")) {
		put("unread", 6);
		return 0;
	}
	if (argc > 1) { // note each start
		int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0666);
		if (fd < 0 || write(fd, "x", 1) != 1) return 93;
		close(fd);
	}
	size_t n = 0;
	for (ssize_t r; (r = read(0, request + n, sizeof request - 1 - n)) > 0;) n += r;
	const char *argument = request + 1;
	size_t length = n > 0 ? n - 1 : 0;
	switch (request[0]) {
	case 'e': // echo
		put(argument, length);
		return 0;
	case 'E': // the environment
		for (char **e = environ; *e; e++) put(*e, strlen(*e) + 1);
		return 0;
	case 'a': // the arguments
		for (char **a = argv; *a; a++) put(*a, strlen(*a) + 1);
		return 0;
	case 'x': // exit with a status, a byte, after some output and a text on standard error
		put("output", 6);
		if (length > 1 && write(2, argument + 1, length - 1) < 0) return 94;
		return (unsigned char)argument[0];
	case 'X': // 1 MiB on standard error, then the answer
		for (int i = 0; i < 256; i++)
			if (write(2, request + sizeof request / 2, 4096) != 4096) return 95;
		put("done", 4);
		return 0;
	case 'k': // die of a signal
		kill(getpid(), argument[0]);
		rest_forever();
	case 'o': // output without end
		for (;;) put(request, 65536);
	case 'O': { // so much output
		long size = atol(argument);
		put(request + sizeof request / 2, size);
		return 0;
	}
	case 'f': // a child that holds the pipes open
		if (fork() == 0) rest_forever();
		put(argument, length);
		return 0;
	case 'F': // a child that holds the pipes open and has left the group
	case 'S': // one that does not stay for long
	{
		pid_t child = fork();
		if (child == 0) {
			setsid();
			if (request[0] == 'F') rest_forever();
			usleep(300000);
			_exit(0);
		}
		while (getsid(child) != child) usleep(100);
		put(argument, length);
		return 0;
	}
	case 'g': // a group that does not end
		fork();
		fork();
		rest_forever();
	case 's':
		rest_forever();
	case 'c': // close the output long before the end
		put("closed", 6);
		close(1);
		close(2);
		usleep(20000);
		return 0;
	case 'd': // the open descriptors
		for (int fd = 0; fd < 65536; fd++)
			if (fcntl(fd, F_GETFD) >= 0) dprintf(1, "%d ", fd);
		return 0;
	case 'n':
		count(argument);
	}
	return 99;
}
