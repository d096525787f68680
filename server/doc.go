// Package server runs one handler behind a UNIX socket. For every call the
// kernel says who is calling, and the server checks it before the handler runs. It is
// for Linux only: see "SO_PASSCRED" in unix(7).
//
//	srv := &server.Server{Handler: server.HandlerFunc(hello)}
//	err := srv.ListenAndServe("/run/hello.sock")
//
// # The life of a call
//
// One connection is one call. It reads top to bottom in these files:
//
//	accept    accept.go    take the connection, ask who connected, admit or refuse
//	authorize authorize.go ask the access rules about who connected
//	receive   receive.go   read the request; every piece must be of one sender
//	dispatch  dispatch.go  run the handler
//	respond   respond.go   write the answer, close
//	refuse    refuse.go    or say why not, so that a caller still sending reads it
//
// The rules ([Server.Access]) are asked before anything of the request is read, so
// that whoever may not call costs no buffer. They look up who connected; that the
// sender is the same user and group is checked with each piece that is received.
//
// Reading is tried at once after accepting: the request is nearly always there,
// and a call then costs five system calls: accept4, getsockopt, recvmsg, sendto,
// close. While more callers wait, answered connections are closed together, up to
// sixteen with one close_range (close.go; from Linux 6.16 on), so that a call costs
// little more than four. Only a connection that has to wait, for more of a request or
// for room for an answer, is parked: it enters epoll and gets a deadline (park.go). As
// long as none is, the leader waits for the listener with poll(2), which costs
// less; one connection on which nothing has arrived yet may wait with it for a
// millisecond before it is parked. While calls come every few microseconds the
// leader spins for a moment before it sleeps (await.go).
//
// # Who owns what
//
// A [Server] has one or more event loops (loop.go). A loop is an epoll set with
// the shared listener and the connections that wait in it. A worker (worker.go) is
// a goroutine that leads a loop or runs handlers. A loop has one leader at a
// time; only the leader polls. Where there are several loops, one of them waits for
// callers and the others rest, until it finds that callers compete with it for the
// processors (contention.go) or that the backlog has not been empty for long.
//
// A connection (conn.go) is owned by exactly one goroutine, or it is parked:
// then it stands in its loop's table, guarded by the loop's mutex, and whoever
// takes it out of the table owns it. That is the leader when epoll reports it,
// the expiry timer when its deadline has passed, or Close. Only an owner touches
// the descriptor. What epoll reports is a hint, checked by the next system call,
// so that a report that is out of date does no harm.
//
// # Handlers that block
//
// Handing every call to a goroutine of its own costs more than a short handler
// does. So the leader runs the handler itself, and is deposed if that takes
// long: the overseer (overseer.go) looks every millisecond whether a worker is
// still in the handler that it was in a millisecond before. If so, it puts the
// call under watch and lets another worker take the lead, and for the next
// second the server is wary: leaders first collect a batch of calls, give up the
// lead to a worker that is woken for it, and then run the batch, so that a
// handler that blocks holds up nobody. There are never more busy workers
// than calls in flight and loops together, and at most 64 rest for reuse. With [Server.HandlerOnLoop] there is no
// overseer: the handler promises not to block.
//
// A call under watch (watch.go) has a deadline and is cancelled when its caller
// hangs up. When the deadline passes the caller gets an error at once; the call
// stays in flight until its handler returns, and what that returns is dropped.
//
// # Fairness between users
//
// What one user does must cost others little. Three things see to that, all of them
// by the user who connected and before anything of a request is read:
//
//	places  fairness.go  calls in flight: shares of [Server.MaxCalls], and a
//	                     reserve for root and the server's own user
//	rates   rate.go      calls a second: [Server.RatePerUID]
//	lobby   lobby.go     where a call over the rate waits for its turn
//
// And after it is answered: what lies in the kernel for a caller who does not read is
// charged to his user (unread.go), and waits in the lobby too.
//
// A connection in the lobby is owned by it, as a parked one is by its loop's table:
// until the lobby's timer or Close takes it out. When its turn has come it is parked
// in its loop, and goes on there as if it had just been accepted.
//
// # Being watched
//
// [Server.Stats] adds up what each loop counts. Every connection has one [Outcome], which
// is counted, and told to [Server.Ended], at the moment it is certain (ended.go).
// [Server.MeasureLatency] makes the loops count durations as well (latency.go). Both cost
// one reading of the clock a call, and nothing if nobody asks.
//
// # Progress
//
// A server is alive as long as somebody leads each loop who comes back to its next
// step: [Server.Progress] (progress.go) puts a question to each loop and wakes it, and
// the leader answers when it takes back the wake or begins to accept again. So a
// leader that sleeps, because nothing is to do, is alive, since it wakes; so is one
// under full load, which looks at its question between batches of calls, and one whose
// handler blocks, since it is deposed and the next leader answers. Not alive is a loop
// on which a handler blocks that promised not to, or on which nobody can be made to
// lead. A loop that rests is not asked: it waits for nothing but to be needed. Between
// questions this costs one look at a pointer a round, a round being a batch of callers
// or a wait for them.
//
// # Failures
//
// What [Server.Serve] returns ended the server. Whatever a caller can cause
// ends that caller's call only; it is counted in [Stats] and not logged,
// but for handlers that panic and for a lack of descriptors, at bounded rates.
package server
