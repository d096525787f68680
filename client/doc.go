// Package client calls a server: bytes go out, bytes or an error come back.
//
//	c := client.Client{Path: "/run/hello.sock"}
//	answer, err := c.Call(ctx, []byte("hello"))
//
// # The life of a call
//
// A call has a connection of its own, and its steps stand in the files of this
// package in this order:
//
//	connect   a non-blocking socket; a full backlog is waited for
//	send      header and payload with one sendmsg(2)
//	receive   the response, in whatever pieces it arrives
//	close     whatever happened
//
// There is no state between calls except buffers, so that nothing has to be
// closed, a restarted server is found again by the next call, and one [Client]
// serves any number of goroutines.
//
// # Who owns what
//
// An exchange belongs to the goroutine of its call from connect to close, and
// owns the descriptor. As long as nothing has to be waited for, the descriptor
// is a bare number and every system call on it returns at once. The first time
// there is nothing to receive, or no room to send, an [os.File] takes the
// descriptor over: that registers it with the poller of the Go runtime, which
// parks the goroutine without keeping a thread.
//
// A request that does not fit into the socket's buffer is sent by a second
// goroutine, while the first already receives. A server may refuse a large
// request before it has read it, and then never reads the rest: the answer is
// what ends such a call, not the sending. The second goroutine has ended when
// the call returns, so the payload is the caller's again.
//
// # How a call waits
//
// While other calls of the same Client are in flight, a call first lets the
// other goroutines run ([runtime.Gosched]) and then looks for its answer. If there is
// none it lets other threads have the processor as well (sched_yield(2)), and looks
// once more: under load the answer is there by then, and the descriptor never meets the
// poller. Where the processor was away for more than 600 µs on average, since threads
// that never wait have it, calls do without that for half a second. A call that is alone
// looks for its answer over and over for at most 50 µs, and lets other threads have the
// processor in between (sched_yield(2)), if such
// calls have lately waited for less than 30 µs on average: sleeping and being woken
// takes as long. Where answers take longer, since handlers do or since many other
// processes call too, it goes to the poller at once.
//
// The backlog of a listening socket cannot be waited for with poll(2). A call
// that finds it full tries again after a pause that doubles from 100 µs to
// 10 ms, of which a random half is left out so that many waiting callers spread.
//
// # Contexts
//
// A context that ends ends the call at once, whatever the call waits for. One
// that has ended already makes no connection. A context that cannot end costs
// nothing, and others cost nothing until the call has to wait.
//
// One thing is out of reach before Linux 6.16: the kernel releases descriptors
// that the server passes along with an answer within the system call that
// receives it, and takes its time if such a descriptor lingers (socket(7),
// SO_LINGER). Later kernels refuse them when they are sent.
//
// # Other systems
//
// On systems other than Linux a call is made through package net (portable.go), with
// the same promises but for three things: there are no abstract names, a full backlog is
// not waited for but [ErrUnreachable], and how a call waits is up to package net. The
// server needs Linux: such a client is for a socket that is forwarded from there, say.
//
// # Errors
//
// What the server answered is a [*RemoteError]; anything else that went wrong
// with the connection is an [*Error], which is never a RemoteError. An Error is
// [ErrUnreachable] if there was no connection, so that the server has not seen
// the call, [ErrProtocol] if the response was not one, and wraps
// [context.Canceled] or [context.DeadlineExceeded] if the context ended it.
package client
