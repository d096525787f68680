/* launch BLOCKED IGNORED CLOSED FILES PROGRAM...: becomes PROGRAM with signals blocked
   and ignored, two hexadecimal numbers whose bit n - 1 is signal n; with descriptors
   closed, a string of digits or "-"; and with FILES as the soft limit on descriptors.
   It asks the kernel, since the C library keeps signals 32 and 33 to itself. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 6)
		return 100;
	uint64_t blocked = strtoull(argv[1], NULL, 16), ignored = strtoull(argv[2], NULL, 16);
	for (int n = 1; n <= 64; n++) {
		struct { void (*handler)(int); uint64_t rest[7]; } action = {SIG_DFL, {0}};
		if (ignored & UINT64_C(1) << (n - 1))
			action.handler = SIG_IGN;
		syscall(SYS_rt_sigaction, n, &action, NULL, sizeof blocked);
	}
	if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked) != 0)
		return 111;
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = strtoull(argv[4], NULL, 10);
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 111;
	for (char *c = argv[3]; *c != 0; c++)
		if (*c != '-')
			close(*c - '0');
	execv(argv[5], argv + 5);
	perror(argv[5]);
	return 111;
}
