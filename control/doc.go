// Package control answers the operators of a running server: how it does, and what it
// is to do. It does so at a socket of its own, the control socket, which is a service
// like any other: one request, one answer, and the kernel says who asks.
//
//	users := control.NewUsers()
//	srv := &server.Server{Handler: handler, MeasureLatency: true, Ended: users.Ended}
//	operator := (&control.Handler{Server: srv, Users: users}).NewServer()
//	go operator.ListenAndServe("/run/hello.control")
//	err := srv.ListenAndServe("/run/hello.sock")
//
// # The model
//
// There are two servers in one process. The main one serves callers. The control
// server, made by [Handler.NewServer], serves operators: it has its own socket of mode
// 0600, its own event loop and its own small limits, so that callers of the main one
// cannot fill it, and who fills it is none of them. By default it hears root and the
// user of the process only ([Operators]); other rules are its [server.Server.Access].
//
// A process with several sockets has several main servers ([Handler.Sockets]) and one
// control server for all of them.
//
// A request is one line of text, a command and its arguments (handler.go has them
// all). An answer is JSON, text or the bytes of a profile; an error says what is
// allowed. What a service cannot do, since a field of [Handler] is not set, is
// refused and not in the answer to "help". Everything but questions goes to the log,
// with who asked.
//
//	credrpc call /run/hello.control stats
//	credrpc call /run/hello.control 'log-level debug'
//	credrpc top /run/hello.control
//
// # Users
//
// [Users] counts calls by the user who connected. It keeps the users with the most
// calls, within a fixed number, so that memory does not grow with the number of users
// who call (users.go).
//
// # Who owns what
//
// A [Handler] owns nothing but the turn to make a profile, of which there is one at a
// time. The program owns both servers: it ends the control server after the main one,
// so that operators see the end.
package control
