/*
 * cclient PATH THREADS PAYLOAD WARMUP SECONDS: callers of the protocol, with the least
 * that a client must do. THREADS threads each repeat
 *
 *	socket, connect, send, recv until the answer is whole, compare it, close
 *
 * with blocking calls. PAYLOAD is the size of a request in bytes; the server must
 * echo it. Calls that begin in the first WARMUP seconds are made and do not count;
 * SECONDS later, or with SIGINT or SIGTERM, threads begin no more. A thread that has
 * begun no call that counts makes one.
 *
 * It writes a line "begin" when calls begin to count, a line "end" when the threads
 * have ended, and a line of JSON, whose fields report() has. A call counts once as
 *
 *	calls    its answer was the request
 *	wrong    the answer has other bytes, or another size
 *	refused  the answer is an error of the server
 *	failed   a system call failed, the answer ended early, or none came
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* The largest payload: what the floor takes. */
#define MAX_PAYLOAD (16 * 1024 * 1024)

#define MAX_THREADS 4096

/* Failed calls in a row after which a thread stops: the server is gone. */
#define GIVE_UP 1000

/* Seconds that threads may wait for their last answers, and after a signal. */
#define GRACE 10
#define INTERRUPTED_GRACE 2

/* Times are counted in buckets: 128 of the same width for each power of two, so that
 * a bucket is at most 1/128 of the times in it. */
#define STEPS 128
#define BUCKETS (STEPS * 40)

enum phase { WARMING, COUNTING, OVER };

struct caller {
	pthread_t thread;
	uint64_t number; /* of the next call */
	unsigned char *request; /* a frame */
	unsigned char *answer;
	uint64_t calls, wrong, refused, failed, backlog_full;
	const char *what; /* happened to the first call that was not answered right */
	int error; /* errno of it, 0 if there is none */
	uint64_t times[BUCKETS];
};

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static uint32_t payload;
static atomic_int phase;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The bucket of a time, and the least time of a bucket. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned shift = 0, bucket;

	while (ns >> shift >= 2 * STEPS)
		shift++;
	bucket = shift * STEPS + (unsigned)(ns >> shift);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t time_of(unsigned bucket)
{
	unsigned shift = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;

	return (uint64_t)(bucket - shift * STEPS) << shift;
}

static int note(struct caller *c, uint64_t *count, const char *what, int error)
{
	++*count;
	if (c->what == NULL) {
		c->what = what;
		c->error = error;
	}
	return 0;
}

/* Connects. Returns -1 if that fails. */
static int dial(struct caller *c)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		if (errno == EAGAIN) {
			c->backlog_full++;
			sched_yield();
			continue;
		}
		close(fd);
		return -1;
	}
	return fd;
}

/* Receives an answer and compares it with the request, of which both are known to have
 * size bytes with their header. Returns 1 if it is the same. */
static int collect(struct caller *c, int fd, size_t size)
{
	size_t got = 0;
	uint32_t head;

	while (got < 4 + size) {
		ssize_t n = recv(fd, c->answer + got, 4 + size - got, 0);

		if (n < 0)
			return note(c, &c->failed, "recv", errno);
		if (n == 0)
			return note(c, &c->failed, "the answer ended early", 0);
		got += (size_t)n;
		memcpy(&head, c->answer, sizeof head);
		if (got >= 4 && head != 0)
			return note(c, &c->refused, "the server refused", 0);
		if (got >= 8 && memcmp(c->answer + 4, c->request, 4) != 0)
			return note(c, &c->wrong, "the answer has another size than the request", 0);
	}
	if (memcmp(c->answer + 4, c->request, size) != 0)
		return note(c, &c->wrong, "the answer is not the request", 0);
	return 1;
}

/* Makes a call. Returns 1 if it was answered right. */
static int call(struct caller *c)
{
	size_t size = 4 + (size_t)payload, sent = 0;
	int fd, right;

	if (payload >= 9)
		memcpy(c->request + 5, &c->number, sizeof c->number);
	c->number++;
	fd = dial(c);
	if (fd < 0)
		return note(c, &c->failed, "connect", errno);
	while (sent < size) {
		ssize_t n = send(fd, c->request + sent, size - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EPIPE)
			break; /* the answer says why */
		if (n < 0) {
			note(c, &c->failed, "send", errno);
			close(fd);
			return 0;
		}
		sent += (size_t)n;
	}
	right = collect(c, fd, size);
	close(fd);
	return right;
}

/* Forgets the calls of the warm-up. */
static void forget(struct caller *c)
{
	c->calls = c->wrong = c->refused = c->failed = c->backlog_full = 0;
	c->what = NULL;
	memset(c->times, 0, sizeof c->times);
}

static void *run(void *arg)
{
	struct caller *c = arg;
	int counts = 0, failures = 0;

	while (failures < GIVE_UP) {
		uint64_t begun;

		if (!counts && atomic_load_explicit(&phase, memory_order_relaxed) != WARMING) {
			counts = 1;
			forget(c);
		}
		begun = now();
		if (call(c)) {
			c->calls++;
			c->times[bucket_of(now() - begun)]++;
			failures = 0;
		} else {
			failures++;
		}
		if (counts && atomic_load_explicit(&phase, memory_order_relaxed) == OVER)
			break;
	}
	return NULL;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void prepare(struct caller *c, uint32_t i)
{
	uint32_t head = htonl(payload), at;

	/* Calls of different threads differ in the upper bits. */
	c->number = (uint64_t)i << 40;
	c->request = malloc(4 + (size_t)payload);
	c->answer = malloc(8 + (size_t)payload);
	if (c->request == NULL || c->answer == NULL)
		die("malloc");
	memcpy(c->request, &head, sizeof head);
	for (at = 0; at < payload; at++)
		c->request[4 + at] = (unsigned char)(at * 7);
}

/* Waits, and returns 1 if a signal ends that. */
static int wait_for(const sigset_t *signals, double seconds)
{
	uint64_t until = now() + (uint64_t)(seconds * 1e9);

	for (;;) {
		uint64_t at = now(), left = at < until ? until - at : 0;
		struct timespec t = { (time_t)(left / 1000000000), (long)(left % 1000000000) };

		if (sigtimedwait(signals, NULL, &t) > 0)
			return 1;
		if (errno == EAGAIN)
			return 0;
	}
}

/* Waits until the threads have ended. A call without an answer has failed. */
static void join(struct caller *callers, int threads, int grace)
{
	struct timespec until;
	int i;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += grace;
	for (i = 0; i < threads; i++)
		if (pthread_timedjoin_np(callers[i].thread, NULL, &until) != 0)
			note(&callers[i], &callers[i].failed, "no answer", 0);
}

static double processor_seconds(const struct timeval *end, const struct timeval *begin)
{
	return (double)(end->tv_sec - begin->tv_sec) + (double)(end->tv_usec - begin->tv_usec) / 1e6;
}

static void report(struct caller *callers, int threads, int interrupted, double seconds,
    const struct rusage *begin, const struct rusage *end)
{
	struct caller sum = { 0 };
	const char *comma = "";
	unsigned bucket;
	int i;

	for (i = 0; i < threads; i++) {
		struct caller *c = &callers[i];

		sum.calls += c->calls;
		sum.wrong += c->wrong;
		sum.refused += c->refused;
		sum.failed += c->failed;
		sum.backlog_full += c->backlog_full;
		if (sum.what == NULL) {
			sum.what = c->what;
			sum.error = c->error;
		}
		for (bucket = 0; bucket < BUCKETS; bucket++)
			sum.times[bucket] += c->times[bucket];
	}
	printf("{\"calls\":%llu,\"wrong\":%llu,\"refused\":%llu,\"failed\":%llu,\"backlog_full\":%llu,",
	    (unsigned long long)sum.calls, (unsigned long long)sum.wrong, (unsigned long long)sum.refused,
	    (unsigned long long)sum.failed, (unsigned long long)sum.backlog_full);
	printf("\"first_error\":\"%s%s%s\",", sum.what != NULL ? sum.what : "",
	    sum.error != 0 ? ": " : "", sum.error != 0 ? strerror(sum.error) : "");
	printf("\"interrupted\":%s,\"seconds\":%.9f,\"user_seconds\":%.6f,\"system_seconds\":%.6f,\"times\":[",
	    interrupted ? "true" : "false", seconds,
	    processor_seconds(&end->ru_utime, &begin->ru_utime), processor_seconds(&end->ru_stime, &begin->ru_stime));
	for (bucket = 0; bucket < BUCKETS; bucket++)
		if (sum.times[bucket] > 0) {
			printf("%s[%llu,%llu]", comma, (unsigned long long)time_of(bucket), (unsigned long long)sum.times[bucket]);
			comma = ",";
		}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	struct rusage begin = { 0 }, end = { 0 };
	struct caller *callers;
	sigset_t signals;
	double warm_up, length, seconds = 0;
	int threads, interrupted, i;
	long size;

	if (argc != 6 || strlen(argv[1]) >= sizeof address.sun_path ||
	    (threads = atoi(argv[2])) < 1 || threads > MAX_THREADS ||
	    (size = atol(argv[3])) < 0 || size > MAX_PAYLOAD ||
	    (warm_up = atof(argv[4])) < 0 || (length = atof(argv[5])) < 0) {
		fputs("usage: cclient PATH THREADS PAYLOAD WARMUP SECONDS\n", stderr);
		return 2;
	}
	strcpy(address.sun_path, argv[1]);
	payload = (uint32_t)size;
	callers = calloc((size_t)threads, sizeof *callers);
	if (callers == NULL)
		die("calloc");
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* threads inherit it */
	for (i = 0; i < threads; i++) {
		prepare(&callers[i], (uint32_t)i);
		if (pthread_create(&callers[i].thread, NULL, run, &callers[i]) != 0)
			die("pthread_create");
	}
	interrupted = wait_for(&signals, warm_up);
	if (interrupted) {
		threads = 0; /* no call counts */
	} else {
		uint64_t began = now();

		getrusage(RUSAGE_SELF, &begin);
		puts("begin");
		fflush(stdout);
		atomic_store(&phase, COUNTING);
		interrupted = wait_for(&signals, length);
		atomic_store(&phase, OVER);
		join(callers, threads, interrupted ? INTERRUPTED_GRACE : GRACE);
		seconds = (double)(now() - began) / 1e9;
		getrusage(RUSAGE_SELF, &end);
	}
	puts("end");
	report(callers, threads, interrupted, seconds, &begin, &end);
	fflush(stdout);
	_exit(0); /* with the threads that wait for an answer */
}
