// Package load makes closed-loop load on a server of the protocol: callers that
// each wait for their answers before they call again.
//
// # Loads
//
// A [Load] is written bKxN or tN. bKxN is N callers that each connect and send K
// calls, one after the other, and then collect the K answers in the same order.
// tN is N callers, one call at a time: the same as b1xN. With large K the server
// always finds the next connection waiting and is never idle, which shows its
// cost a call; with t1 nothing overlaps, which shows the time of one call.
//
// # A process of its own
//
// A caller is a goroutine that stays in raw system calls, so its thread keeps
// its P while it waits. [Run] therefore gives the process two Ps more than
// callers and switches the garbage collector off while it lasts, and callers
// allocate nothing. Whoever calls Run must do nothing else in the process
// meanwhile: no server, no garbage, nothing that stops the world. The process
// should run with [Setting] in GODEBUG, since the scheduler otherwise sends
// a signal to every caller that waits for 10 ms. Callers are not locked to
// their threads: since nothing else runs, they stay where they are, and the
// occasional request to yield costs less without the lock.
//
// # Latency
//
// The latency of a call runs from before its first system call, socket(2), until
// its answer is complete. In a batch that includes the batching: a call waits
// while the rest of its batch is sent and the answers before its own are
// collected, so the latencies of bKxN with K > 1 describe batches, not calls.
// Histograms hold nanoseconds with three digits, from 64 ns to one minute.
// Only calls that were answered right count.
//
// # Verification
//
// The server must echo the payload. Payloads of 9 bytes and more carry a number
// that is different in every call of a caller. Each answer is compared byte by
// byte, so one that belongs to another call of the caller is found out. The
// first byte is [Sleeping] in calls of sleeping callers, else another.
package load
