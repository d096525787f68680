/* report FD: writes what this process has found at its start to descriptor FD, a line
   a fact. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 100;
	int out = atoi(argv[1]);
	dprintf(out, "process %d\n", (int)getpid());

	uint64_t blocked = 0, pending = 0, ignored = 0;
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof blocked);
	syscall(SYS_rt_sigpending, &pending, sizeof pending);
	for (int n = 1; n <= 64; n++) {
		struct { void (*handler)(int); uint64_t rest[7]; } action = {SIG_DFL, {0}};
		if (syscall(SYS_rt_sigaction, n, NULL, &action, sizeof blocked) == 0 && action.handler == SIG_IGN)
			ignored |= UINT64_C(1) << (n - 1);
	}
	dprintf(out, "blocked %016llx\nignored %016llx\npending %016llx\n",
		(unsigned long long)blocked, (unsigned long long)ignored, (unsigned long long)pending);

	for (int n = 0; n < RLIM_NLIMITS; n++) {
		struct rlimit limit;
		getrlimit(n, &limit);
		dprintf(out, "limit %d %llu %llu\n", n, (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
	}
	for (int fd = 0; fd < 1024; fd++) {
		struct stat st;
		if (fstat(fd, &st) == 0)
			dprintf(out, "descriptor %d: %llu:%llu mode %o flags %o position %lld\n", fd, (unsigned long long)st.st_dev,
				(unsigned long long)st.st_ino, st.st_mode, fcntl(fd, F_GETFL), (long long)lseek(fd, 0, SEEK_CUR));
	}
	mode_t mask = umask(0);
	dprintf(out, "umask %o\n", mask);
	return 0;
}
