// Package program answers calls by running programs: the request is on standard
// input, and what the program writes to standard output is the answer.
//
// # The life of a call
//
//	admit    handler.go      refuse what no rule allowed; wait for a place (places.go)
//	command  command.go      which program, with which environment
//	start    child.go        three pipes, fork, exec
//	talk     child.go        one poll(2) over the pipes and the program's end
//	end      child.go        kill what is left of the group, empty the pipes, wait
//	answer   outcome.go      the output, or why there is none
//
// The program's exit ends the answer. What it and its descendants have written to
// the pipe by then belongs to the answer; what a descendant writes later does not,
// and nobody waits for it. With exit status 0 the output is the answer. With
// another one the call fails with the first line of standard error that is not
// blank, or with the status if there is none; of a program that a signal killed the
// error says which. Otherwise standard error is read and dropped, so that nobody
// blocks on it.
//
// A program need not read its standard input. Output over the limit kills it and
// fails the call.
//
// # What a program is given
//
// The environment is made of nothing: PATH, a constant that is not the server's;
// PROTO=IPC; IPCREMOTEPID, IPCREMOTEEUID and IPCREMOTEEGID, the process, effective
// user and effective group that connected; IPCLOCALPATH, the socket; IPCRULE, the
// key of the rule that allowed the call. Then the rule's own changes are applied,
// which may override all of these. A rule's exec replaces the program: execlineb,
// which was looked up when the server started, runs that line.
//
// Descriptors 0, 1 and 2 are pipes, and there are no others: what the server opens
// is closed on exec, and [New] marks so what the server itself was started with.
// The working directory is the root. The program leads a session of its own, so it
// has no controlling terminal, whose keys would signal it and which it could push
// input into; and a session leader cannot leave its process group. It runs as the
// server's user, with the server's groups, capabilities, umask and limits (of
// RLIMIT_NOFILE the ones that the server was started with). Signals have their
// default actions and none is blocked, but for those that whoever started the
// server had it ignore (SIGHUP and SIGINT, nohup(1)) or block.
//
// # Who owns what
//
// The goroutine that serves the call owns the child: its pid, its pidfd and our
// ends of its pipes, from fork to wait. It is locked to its thread meanwhile. That
// costs little, since the thread waits in poll(2) anyway, and is what makes
// PR_SET_PDEATHSIG sound: the kernel sends that signal when the thread that forked
// ends (PR_SET_PDEATHSIG(2const)), and no other goroutine can end this one. So when
// the server dies, of SIGKILL too, so do its programs, though not their descendants
// and not set-user-ID programs, for which the kernel forgets it.
//
// The second goroutine of a call, the guard, waits for the end of the context and
// then kills the process group. It is joined before the child is waited for. As
// long as nobody has waited for it, a child that has ended is a zombie whose pid,
// and with it the number of its group, is not given to anybody else (wait(2)): no
// signal can reach a stranger. That is why os/exec is not used, which may have waited
// already when its Cancel sends the signal; it also takes more goroutines and more
// time (docs/ARCHITECTURE.md).
//
// # How a program ends
//
// SIGKILL goes to the whole process group: when the call's deadline passes, when
// the caller hangs up, when the server closes, when the output is over the limit,
// and also after the program has exited by itself, so that no call leaves processes
// behind that no limit counts. There is no SIGTERM before it: the caller is gone or
// has its answer.
//
// Not reached are a descendant that has left the group (setsid(2), setpgid(2); to
// leave a daemon behind is possible in this way only), and, if the server is not
// root, processes of another user, as of a set-user-ID program. Neither can hold up
// a call after the program's exit. A program that cannot be killed, being such a
// one or waiting for a file system that hangs, keeps its place until it ends; its
// caller is answered at the deadline all the same.
//
// Descendants that outlive their parents become children of process 1, which waits
// for them. A server that is process 1 itself does not: it needs an init before it.
package program
