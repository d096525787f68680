// Package gnetserver is the protocol on gnet's own engine: what a server costs
// that is written the way gnet wants it, to compare package server with, which
// takes no more than gnet's poller. It echoes, and runs in a process of its own.
//
// # Life of a call
//
// One goroutine of the engine accepts, another, one of [Server.Loops], is woken to
// take the connection over: it adds it to its epoll set and calls OnOpen, which
// asks for the credentials of the connection (SO_PEERCRED). The engine reads with
// read(2) and calls OnTraffic until the request is whole, which is answered and
// closed.
//
// # What it cannot do
//
// read(2) brings no ancillary data, so who sent the bytes is never known, only
// who connected. The engine does not say when an answer that did not fit the
// socket's buffer has left: such a connection stays until its caller closes it.
// There are no deadlines and no limits but the largest payload; what is not a
// request is closed without an answer.
//
// # How the engine listens
//
// It reads the path as a URL, so that "?" and "#" end it, and then removes what
// is there with os.RemoveAll, a whole tree if it must be. So
// [Server.ListenAndServe] refuses such a path, and one at which there is
// anything. Between that and the engine's removal lies a moment: the directory
// must be one's own. The socket gets its mode from the umask.
//
// # What importing it does
//
// Importing the engine starts the goroutines of a worker pool that wake up twice
// a second; [StopPool] ends them. Only the benchmark's program imports this
// package, and calls that first in every process.
package gnetserver
