// Package ipcserver is a UCSPI server for UNIX sockets: it runs a program for
// every connection, as s6-ipcserver does, and decides itself who may connect, as
// s6-ipcserver-access does. A caller that the rules refuse costs no process.
//
// # The life of a connection
//
//	accept   worker.go    the leader takes it off the backlog
//	examine  examine.go   who connected? within the limits? do the rules allow it?
//	refuse   refuse.go    or close it, which a caller can make slow
//	spawn    spawn.go     run the program on it, with its environment
//	reap     reap.go      the program has ended: others may come
//
// The identity is the one that the kernel noted at connect(2), the effective uid
// and gid (unix(7), SO_PEERCRED). What a caller sends is none of this package's
// business: the program has the connection as its standard input and output, as
// it came from accept.
//
// # Who owns what
//
// A worker (worker.go) is a thread that leads or spawns. One leads at a time, which
// the mutex server.lead decides. It alone accepts, examines and refuses, and waits
// with poll(2) for the listener and for the wakeup, an eventfd. With a connection to
// spawn for it gives up the lead. So nothing is handed from one worker to another,
// and there are never more connections in the hands of the server than workers, but
// for refused ones that wait to be dropped (see below).
// Starting a program suspends the thread until the program has been loaded
// (vfork(2)); there are a few workers for each processor.
//
// Every worker has a table of descriptors of its own (clone(2), CLONE_FILES). A
// process begins with copies of all descriptors of whoever starts it, which are
// closed when its program is loaded. With one table the processes that other
// workers start would have copies of this worker's connection for that time; and
// whoever has the last copy pays for closing it (see below), a program for another
// caller perhaps.
//
// The children (children.go) are the connections that were admitted and are not
// over: how many, how many of each user, and the pids of their programs. Its
// mutex guards all of that.
//
// The reaper (reap.go) is a goroutine that waits for dead children.
//
// # Pids
//
// A pid is signalled only under the mutex of the children, and only if it stands
// there; and a child is reaped only under the same mutex, which removes it. Until a
// child is reaped its pid cannot become another's. The reaper therefore learns of
// a death without reaping (waitid(2), WNOWAIT), and then looks for the pid.
//
// A program can end before the worker that started it has noted its pid. The
// RWMutex server.spawning covers that: workers hold it for reading from before the
// clone until the pid is noted. Whoever holds it for writing knows that every
// child of this package stands among the children. The reaper takes it when it
// meets a pid that it does not know, before it believes that somebody else started
// that process, and so does whoever signals all children.
//
// # Limits
//
// At the limit of all connections the leader stops accepting, and callers wait in
// the backlog until the reaper wakes it. A user at the limit of one user is
// refused. Without descriptors or memory the leader pauses.
//
// # Callers that pass descriptors
//
// Programs may want them, so that the server's socket lets them through. But
// closing a connection drops those that nobody received, and that takes as long as
// their sender has arranged (socket(7), SO_LINGER). Closing what a program has open
// too drops nothing. A refused connection is first shut down, so that nothing more
// arrives; and if what has arrived carries descriptors, or cannot be seen through,
// it is passed on itself, to goroutines that only drop (refuse.go). Whoever closes is
// hurried (hurry.go): a signal for the thread ends the waiting for sockets that linger,
// so that dropping them takes milliseconds, however long their sender has arranged.
//
// # Privileges
//
// Binding comes first, then the ids are changed, for all threads, and that they
// cannot be changed back is tried out. Only after that the rules are opened, whose
// "self" keys mean the ids after the change, and the first connection is accepted.
package ipcserver
