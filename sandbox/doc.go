// Package sandbox gives up what a service does not need once it has its sockets and
// rules, so that whoever takes the process over gains little by it. It is for Linux only.
//
//	srv := &server.Server{Handler: handler, Listening: func() error {
//		report, err := sandbox.Apply(sandbox.Options{})
//		log.Info("sandbox in force", "sandbox", report)
//		return err
//	}}
//
// # The model
//
// What is given up is gone for the whole process, for what it starts and for ever.
// [Options] lists what is kept; its zero value keeps nothing but the descriptors
// that are open, memory, threads and answering calls.
//
// # The order
//
// First whatever the program needs and will not be able to get any more: options of
// sockets, the socket itself, a snapshot of the rules, log files. Then [Apply], which
// does, each step being possible only before the next:
//
//	check          sandbox.go       options that make no sense change nothing
//	limits         limits.go        no core dumps; descriptors and processes, if asked
//	no dump        limits.go        no debugger of the same user, no /proc/PID/mem
//	no gain        privileges.go    no_new_privs: set-id bits mean nothing to programs
//	capabilities   privileges.go    bounding, ambient, inheritable, permitted, effective
//	files          landlock.go      Landlock: paths, TCP, abstract sockets, by what the kernel knows
//	system calls   filter.go        seccomp: what calls.go lists, EPERM for the rest
//
// Capabilities go before Landlock, so that a path that can only be reached with one
// is noticed then. The filter is last because the steps before need calls that it
// refuses. Then serve: [server.Server.Listening] is called at that very point.
//
// # Threads
//
// Capabilities, no_new_privs and Landlock domains belong to threads. Each is changed on
// all threads at once, and threads inherit them from the thread that makes them. That
// needs a program without cgo; in another one [Apply] returns [ErrCgo] and does
// nothing. Before Landlock ABI 8 every thread thereby gets a domain of its own. They
// are equal, but one thread may then not signal what another has started, so signals
// are scoped from ABI 8 on only. The filter refuses them meanwhile, unless programs
// may be started.
//
// # Failures
//
// An error means that something which was asked for is not in force. What was done
// before is not undone: the process must not serve, and can do nothing better than
// exit. Only where the kernel is too old to know something does Apply go on, and
// [Report.Missing] says what it is; [Options.MinLandlock] makes that an error too.
//
// # What it does not do
//
// User 0 without capabilities still owns the files of user 0. Landlock and the filter
// keep it from most of them, but chmod(2), chown(2) and extended attributes are known
// to the filter only, connecting to sockets with a path to Landlock from ABI 9 on and
// to the filter, and the times of files (utimensat(2)) to neither where files may be
// written or programs started. Descriptors that are open stay usable. A service that
// can run as a user of its own should.
package sandbox
