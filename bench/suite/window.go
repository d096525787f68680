package suite

import (
	"errors"
	"runtime"
	"time"

	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// A window is the measured part of a run, in which the server's process and the
// machine are looked at. What the server is asked, and what records it, begins
// right before and ends right after.
type window struct {
	server        *target
	profiles      *profiles
	before, after moment
	runtime       *measure.Runtime
	err           error
}

// A moment is one end of a window.
type moment struct {
	time    time.Time // zero if the run ended before
	process measure.Process
	cores   measure.Cores
}

// open begins the measured part. Runs with a window are seconds long, of which what it
// may be late is nothing.
func (w *window) open(time.Duration) {
	if w.server.child != nil {
		w.err = errors.Join(w.err, w.server.child.beginProbe(w.profiles.files))
	}
	w.err = errors.Join(w.err, w.profiles.begin())
	w.before = w.look()
}

// close ends it. It does nothing if the run has ended in its warm-up.
func (w *window) close() {
	if w.before.time.IsZero() {
		return
	}
	w.after = w.look()
	err := w.profiles.end()
	if w.server.child != nil {
		var probeErr error
		w.runtime, probeErr = w.server.child.endProbe()
		err = errors.Join(err, probeErr)
	}
	w.err = errors.Join(w.err, err)
	w.profiles.complete = w.err == nil
}

// look returns this moment.
func (w *window) look() (m moment) {
	m.time = time.Now()
	var err error
	m.cores, err = measure.AllCores()
	w.err = errors.Join(w.err, err)
	if w.server.pid == 0 {
		return m
	}
	m.process, err = measure.ProcessOf(w.server.pid)
	w.err = errors.Join(w.err, err)
	if w.server.forks {
		children, err := measure.ChildrenCPUOf(w.server.pid)
		w.err = errors.Join(w.err, err)
		m.process.CPU = m.process.CPU.Add(children)
	}
	return m
}

// measured adds what the window showed to a run, and what it did not show to r.
func (w *window) measured(r *report.Report, run *report.Run) error {
	if w.err != nil {
		return w.err
	}
	if w.before.time.IsZero() {
		note(r, "The run ended in its warm-up.")
		return nil
	}
	run.Runtime = w.runtime
	cores := w.after.cores.Sub(w.before.cores)
	run.MachineBusySeconds, run.MachineIdleSeconds = cores.Busy.Seconds(), cores.Idle.Seconds()
	if w.server.pid == 0 {
		note(r, "Nobody said which process the server is (--pid), so its figures and the bottleneck are unknown.")
		return nil
	}
	usage := w.after.process.Since(w.before.process, w.after.time.Sub(w.before.time).Seconds())
	run.Process = &usage
	run.ServerUserSeconds, run.ServerSystemSeconds = usage.UserSeconds, usage.SystemSeconds
	run.Bottleneck = run.Judge(w.server.Cores, runtime.NumCPU())
	return nil
}
