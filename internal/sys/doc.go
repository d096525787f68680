//go:build linux

// Package sys is the only door to raw system calls and to unsafe. What stands
// here costs the fewest instructions on the path of a call; whatever is needed
// once per process uses golang.org/x/sys/unix directly.
//
// # Raw and yielding calls
//
// A raw call does not tell the Go scheduler that the thread is in the kernel.
// That saves its bookkeeping and is right for calls on non-blocking descriptors,
// which return at once. A yielding call ([Poll], [PollThree], [DeadChild]) tells
// it, because it waits. [WaitingSend] and [WaitingReceive] wait without telling it;
// they are for the load generator, which has a processor of the scheduler for each
// of its threads.
//
// A call that returns at once can still take long where the kernel frees
// something on the way: the last reference to a passed descriptor, say. The
// functions that can meet this take a [Mode].
//
// # Memory
//
// The kernel sees the addresses of the slices given here only during the call.
// Nothing allocates. Results are errno values, not errors: 0 is success.
package sys
