#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's signals are 1 to 64, and its set of them has 8 bytes. The C library
   keeps two of them (32 and 33) from its callers, so it is not asked. */
enum { SIGNALS = 64 };

/* A struct sigaction of the kernel begins with the handler, and the rest, which differs
   between architectures, is zero for SIG_DFL and SIG_IGN. */
#ifdef __mips__
#error "here it begins with the flags"
#endif
struct action {
	void (*handler)(int);
	uint64_t rest[7];
};

static int recorded;         /* or nothing is known */
static uint64_t mask;        /* as the kernel keeps it */
static uint64_t ignored;     /* bit n - 1: signal n */
unsigned int credrpc_closed; /* bit n: descriptor n */

/* Runs before main, hence before the Go runtime. */
__attribute__((constructor)) static void record(void)
{
	int saved = errno;
	recorded = syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask) == 0;
	for (int n = 1; n <= SIGNALS; n++) {
		struct action found = {0};
		if (syscall(SYS_rt_sigaction, n, NULL, &found, sizeof mask) == 0 && found.handler == SIG_IGN)
			ignored |= UINT64_C(1) << (n - 1);
	}
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			credrpc_closed |= 1u << fd;
	errno = saved;
}

/* Handlers do not outlive an execve; those of faults stay until then, so that a fault
   of this process is a panic that says where. */
static int fault(int n) { return n == SIGSEGV || n == SIGBUS || n == SIGFPE; }

void credrpc_restore_signals(void)
{
	if (!recorded)
		return;
	for (int n = 1; n <= SIGNALS; n++) {
		struct action action = {SIG_DFL};
		if (ignored & UINT64_C(1) << (n - 1))
			action.handler = SIG_IGN;
		else if (fault(n))
			continue;
		syscall(SYS_rt_sigaction, n, &action, NULL, sizeof mask); /* EINVAL: SIGKILL, SIGSTOP */
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}
