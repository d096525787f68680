// Package audit writes down who called a server and what came of it: one line of JSON
// for every connection that has ended, to a file, to a stream or to the journal of
// systemd.
//
//	file, err := audit.OpenFile("/var/log/hello/audit.json", audit.DefaultMaxSize)
//	log, err := audit.New(file, audit.Options{Calls: audit.Denied, Logger: slog.Default()})
//	srv := &server.Server{Handler: handler, Access: rules, Ended: log.Ended}
//	err = srv.ListenAndServe("/run/hello.sock")
//	err = log.Close(ctx)
//
// # The model
//
//	loops, workers ──► Ended ──► queue ──► writer ──► sink
//	                    │ not chosen, not in the sample: nothing
//	                    │ over the rate, queue full: counted as dropped
//
// [Log.Ended] is called on the event loops. It never waits and never allocates: it
// decides whether the call is to be written, takes a token, and puts a copy of what it
// is told into a bounded queue without locks (queue.go). One goroutine, the writer
// (writer.go), owns the rest: it looks into the queue at most a hundred times a second,
// makes the lines and hands them to the sink. Nothing runs while nothing is called.
//
// # Bounds
//
// A caller who is refused costs a line, and can be refused tens of thousands of times a
// second. So there are never more than [Options.Rate] lines a second, of which callers of
// one user get at most half (users whose numbers are equal modulo 64 share that), so that
// one who floods the log does not hide another; and a file ends at its greatest size. What
// is not written is counted: the next record says in "dropped" how many went before it,
// the last record says how many there were in all, and so does [Log.Stats].
//
// # What fails
//
// A disk that is full or fails loses lines, not calls: they are dropped like the others,
// and the logger hears of it once a minute at most. A line that was written in part is
// ended before the next one. Whoever wants calls to fail when they cannot be written down
// must do that in his handler.
//
// # What may be believed
//
// Processes, users and groups are from the kernel; the rule is the one that decided. The
// [Hint] is neither: which program a process runs is read from /proc when the call is
// over. The process may have ended, and another may have its number. One that began after
// the call, or is of another user, is recognised and left out, and what is told is of one
// process; but a process that has called may execute another program right after. No text that a
// caller chooses (the path of its program is one) can make or end a line, or tell a terminal
// what to do: JSON escapes it, and all that cannot be printed.
package audit
