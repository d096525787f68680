// Package listen gives a listening socket its name: an abstract one, or a socket
// file that at no moment is open to more than its mode says, and that is taken
// from nobody. A server can hand the socket file on to the next one without a moment
// in which nobody listens.
//
// # What a server holds
//
//	PATH           the socket file; callers reach the listening socket through it
//	PATH.lock      locked as long as somebody holds the place; never removed
//	PATH.takeover  with [File.Offer]: the control socket, mode 0600; a successor asks here
//
// Whoever can write to the directory, or to one above, can replace all three. So that is
// looked at before anything is made ([ErrUntrusted]).
//
// # Takeover
//
// The running server and its successor talk over the control socket, one message at a
// time (SOCK_SEQPACKET, unix(7)):
//
//	running server                          successor
//	serves                                  finds PATH.lock locked
//	                            <- connect  is root or the server's user, or hears nothing
//	offer, three descriptors ->             is offered them by root or its own user
//	goes on serving                         checks them, prepares all, gives up privileges
//	                               <- take
//	stops accepting; hands on the backlog
//	yours ->                                accepts
//	answers what it has accepted, ends
//
// The descriptors are the three things that it takes to be the server at PATH: the
// listening socket, the lock and the control socket. Who connects meanwhile stands in
// the backlog of the one listening socket, whoever accepts from it.
//
// The lock is one of flock(2): it belongs to the open file, which the two share, and
// ends when the last of them has closed it. So it changes hands without being open to a
// third at any moment, and a process that is killed never leaves it behind.
//
// There are never two that accept. The running server says yours after its last
// accept(2), and the successor accepts after that, or if the running server has
// ended: it always has the last word, yours or no, before it closes the connection, so
// that an end without a word is the end of the process.
//
// # Failures
//
// Until take nothing changes for the running server: a successor that fails, or is
// killed, or needs more than [Patience], has only ever held copies. Then:
//
//	the successor is gone when take is read     the running server goes on
//	it is killed between that and yours         nobody serves
//	the running server is killed after offer    the successor accepts after take
//	the running server is told to end           it says no; the successor fails
//	both are killed                             nobody serves
//
// When nobody serves the lock is free, what is left of the files is stale, and the
// next server replaces them.
package listen
