package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// statusSignal and the number of a signal are the exit status of a program that it ended,
// as shells have it.
const statusSignal = 128

// interruptible returns a context that ends with SIGINT or SIGTERM. A second signal ends
// the process at once, after abandon, whatever it does meanwhile: printing what there is
// may wait for somebody who does not read it. After stop signals do what they did before.
func interruptible(p *progress, abandon func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	stopped := make(chan struct{})
	next := func() (s syscall.Signal, ok bool) {
		select {
		case <-stopped:
			return 0, false
		case s := <-signals:
			return s.(syscall.Signal), true
		}
	}
	go func() {
		if _, ok := next(); !ok {
			return
		}
		p.note("credrpc-bench: interrupted: what there is follows; a second Ctrl-C ends at once\n")
		cancel()
		if s, ok := next(); ok {
			abandon()
			os.Exit(statusSignal + int(s))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel()
	}
}
