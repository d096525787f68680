// Command credrpc-access decides whether whoever is connected may go on, and becomes
// the program that serves the connection. It takes the command line of
// s6-ipcserver-access, reads the same rules, and can stand in its place:
//
//	s6-ipcserver /run/hello.sock credrpc-access -x rules.cdb hello-server
//
// # Command line
//
//	credrpc-access [ -v verbosity ] [ -e | -E ] [ -l localname ] [ -I ] [ -i rulesdir | -x rulesfile ] prog...
//
//	-v verbosity  what to say on standard error: 0 errors only; 1 also who is
//	              accepted (default); 2 and above also who is refused, and that
//	              there are no rules
//	-e            set ${PROTO}LOCALPATH (default)
//	-E            remove the variables of the connection
//	-l localname  the value of ${PROTO}LOCALPATH, instead of asking the socket
//	-I            accept a caller with the effective uid and gid of this process,
//	              whatever the rules say
//	-i rulesdir   ask the rules in a directory
//	-x rulesfile  ask the compiled rules in a file
//
// Options stand before the program. They may share a dash (-Ev2), a value may follow
// at once or as the next argument, and "--" ends them. The last of -e and -E counts,
// and the last of -i and -x. Without -i and -x everybody is accepted.
//
// # Life of a connection
//
// A server accepts a connection, finds out who it is, and starts this program with
// the connection as descriptors 0 and 1. The caller is read from the environment, the
// rules are asked (see package credrpc/accessdb for both forms and for the order of
// keys), the environment is changed by the rule that accepts the caller and then by
// -e or -E, and this process becomes the program by execve(2). If the rule has a
// command line of its own, that is run instead, by "execlineb -Pc".
//
// A program whose name has no slash is searched in the PATH that this program was
// given (/usr/bin:/bin without one), not in what a rule makes of it. Empty parts are
// skipped.
//
// # Environment
//
//	PROTO                 read: the protocol, usually IPC; the prefix of the others
//	${PROTO}REMOTEEUID    read: uid of the caller, a decimal number
//	${PROTO}REMOTEEGID    read: gid of the caller, likewise
//	${PROTO}LOCALPATH     set with -e: path of the socket that descriptor 0 is
//	                      bound to, at most 107 bytes of it, or what -l says
//	PATH                  read: where to search the program, and execlineb
//
// With -E these are removed: PROTO, and ${PROTO} with REMOTEEUID, REMOTEEGID,
// REMOTEPATH, LOCALPATH and CONNNUM. The order of variables is not kept.
//
// # Exit status
//
//	1    the caller is refused
//	100  wrong usage; PROTO or one of the ids is missing, or no id
//	111  the rules cannot be read or are malformed, or the socket has no address
//	126  the program cannot be executed
//	127  there is no such program
//
// Any other is the program's.
//
// # What the program finds
//
// The process that the server started, as it was: its number, the connection,
// standard error, every other descriptor that was open, and none of this program's
// own; the limit on descriptors; the signal mask, and which signals are ignored. The
// last two need cgo, since Go's runtime changes them before this program begins.
// Without cgo the program finds most ignored signals default, some blocked ones
// unblocked, and /dev/null for descriptors 0 to 2 that were closed; package
// credrpc/internal/sys/inherited has the list. "make build" builds with cgo, and
// statically, since a dynamic program takes longer to start.
//
// With cgo, a signal to this process does what it would do to the program, but for the
// first half millisecond, in which Go's runtime starts.
//
// # Differences from s6-ipcserver-access
//
// That of s6 2.11.3.2 in Debian is meant.
//
//   - It has no -I, and its usage message does not name it.
//   - The ids 4294967295 are invalid here. They stand for no id at all.
//   - Compiled rules are refused (111) that have an environment which is no list of
//     modifications: s6 hands on what it finds, so that it may run into the variable
//     after it.
//   - A file is refused (111) when a table or record that the search leads to does not
//     lie in it. s6 looks at less of it. The message says what is wrong with the
//     file, where s6 has "Success" or "Invalid argument".
//   - A pipe in place of a file is refused (111). s6 waits until somebody writes to
//     it. Of a directory or device in place of a file the message differs.
//   - A variable that is in the environment more than once is taken as the first of
//     them, and handed on at most once. s6 changes or removes only the first.
//   - Where PATH has no part that is not empty, the status is 127. That of s6 depends
//     on what happened before.
//   - execlineb is searched in PATH. Debian's s6 has a fixed path for it; what PATH
//     leads to in Debian is a wrapper that makes the commands of execline known to
//     the command line.
//   - A PROTO with an equals sign names no variables.
//   - A socket of another family than AF_UNIX has an empty LOCALPATH. s6 shows bytes
//     of its address.
package main
