// Package servertest helps to test services that are built on package server, as
// net/http/httptest does for HTTP. It is for Linux, like package server.
//
//	func TestHello(t *testing.T) {
//		srv := servertest.Start(t, &server.Server{Handler: server.HandlerFunc(hello)})
//		answer, err := srv.Client().Call(t.Context(), []byte("x"))
//		...
//	}
//
// # Three ways to be somebody
//
//	invented      simulate.go  Simulate, NewCall: no socket, anybody, no root
//	oneself       server.go    Start, Server.Client: a real socket, the test's own user
//	another user  user.go      Server.Call, Dial, As: really a User, needs root
//
// A call that is simulated ([Simulate]) has whatever credentials the test invents, and goes
// through the server's rules and limits to its handler. It is a function call:
// nothing here can make a server believe invented credentials, since what comes
// over its socket is vouched for by the kernel.
//
// To be another user really takes root: see [NeedRoot]. A thread of the test process
// then becomes the user, and only that thread: see [As] for what that can and cannot
// do. No TestMain and no second program are needed.
//
// # Callers that misbehave
//
// A [Conn] is a connection on which a test writes what it likes: a request in pieces
// ([Conn.WritePieces]), by several users ([Conn.WriteAs]) or processes
// ([Conn.WriteFromChild]), half of one and then nothing (CloseWrite, Close), or
// garbage. It need not read the answer. [Request] makes the bytes of a request.
//
// # Who owns what
//
// A [Server] owns the directory of its socket, the serving goroutine and the
// connections that it was asked to dial, and its Close ends them all; Start has that
// done when the test ends. The [server.Server] stays the test's: its Stats can be
// read at any time.
//
// # Bounds
//
// Everything that waits gives up after ten seconds ([Patience]), so that a server that
// hangs fails a test instead of stopping it.
package servertest
