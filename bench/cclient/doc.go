// Package cclient holds the least that a client of the protocol must do, as a C
// program: threads that each make one call after the other with blocking system
// calls, namely socket, connect, send, recv until the answer is whole, and close, and
// compare the answer with the request. Other clients are measured by how near they
// come, as servers are by package floor.
//
// A call has no deadline, cannot be cancelled, keeps a thread while it waits, and takes
// an answer of one size only: it is a measure, not a client.
//
// # The program
//
// Its command line is PATH THREADS PAYLOAD WARMUP SECONDS, and src/cclient.c says what
// it does. [Parse] makes a [load.Result] of what it writes. Times of calls are exact to
// 1/128; callers of package callers, which it is compared with, read the clock as often.
// Processor time is that of the process, by getrusage(2), from the end of the warm-up
// to the end of the last thread.
package cclient
