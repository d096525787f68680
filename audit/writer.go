package audit

import (
	"time"
)

const (
	// pause is how long the writer collects: it wakes a hundred times a second at most,
	// and a line is late by as much.
	pause = 10 * time.Millisecond

	// batchSize is how many records are handed to the sink at once: about 100 kB.
	batchSize = 256

	// noticeAfter is how long records may be missing before a record says only that.
	noticeAfter = time.Second

	// complaintInterval is the least time between two log lines about a failing sink.
	complaintInterval = time.Minute
)

// A writer is what the writing goroutine knows.
type writer struct {
	*Log
	told       uint64    // of the dropped records, those that a record has told of
	last       time.Time // when the last record was written, or tried
	complained time.Time // when the logger last heard of a failing sink
}

// write is the writer's goroutine.
func (l *Log) write() {
	defer close(l.stopped)
	w := &writer{Log: l, last: time.Now()}
	for {
		w.limiter.refill(time.Now())
		n := w.drain()
		if n == 0 && w.untold() > 0 && time.Since(w.last) >= noticeAfter {
			w.put([]*Record{{Time: time.Now().UTC(), Event: EventDropped}})
		}
		if n < batchSize && !w.wait(n == 0 && w.untold() == 0) {
			w.end()
			return
		}
	}
}

// untold is how many records were dropped that no record has told of.
func (w *writer) untold() uint64 { return w.Stats().Dropped() - w.told }

// drain writes a batch of what is in the queue and returns how much it was.
func (w *writer) drain() int {
	var batch []*Record
	known := make(hinter)
	for e := new(entry); len(batch) < batchSize && w.queue.take(e); {
		r := e.record()
		r.Sample = w.share(e.outcome)
		if !w.options.WithoutHints {
			r.Hint = known.hint(e)
		}
		batch = append(batch, r)
	}
	if len(batch) > 0 {
		w.put(batch)
	}
	return len(batch)
}

// put hands records to the sink, the first of which tells how many were dropped.
func (w *writer) put(batch []*Record) {
	batch[0].Dropped = w.untold()
	lines := make([]line, len(batch))
	for i, r := range batch {
		lines[i] = line{r, r.line()}
	}
	n, err := w.sink.write(lines)
	w.last = time.Now()
	if n > 0 {
		w.told += batch[0].Dropped
	}
	for i, r := range batch {
		switch {
		case r.Event != EventCall:
		case i < n:
			w.written.Add(1)
		default:
			w.failed.Add(1)
		}
	}
	if err != nil {
		w.complain(err)
	}
}

// complain tells the logger that the sink fails, now and then.
func (w *writer) complain(err error) {
	if !w.complained.IsZero() && time.Since(w.complained) < complaintInterval {
		return
	}
	w.complained = time.Now()
	w.options.Logger.Error("audit records are lost", "error", err, "dropped", w.Stats().Dropped())
}

// wait waits for more to come: for a pause, or if the writer is idle until something
// comes. It returns false if the log is to be closed.
func (w *writer) wait(idle bool) bool {
	var pausing <-chan time.Time
	if idle {
		w.sleeping.Store(true)
		defer w.sleeping.Store(false)
		if w.queue.ready() || w.untold() > 0 { // who came before that did not see it
			return true
		}
	} else {
		pausing = time.After(pause)
	}
	select {
	case <-w.wake:
	case <-pausing:
	case <-w.rotate:
		w.reopen()
	case <-w.stop:
		return false
	}
	return true
}

// reopen does what [Log.Reopen] asks for.
func (w *writer) reopen() {
	if err := w.sink.reopen(); err != nil {
		w.options.Logger.Error("the audit file in use stays", "error", err)
		return
	}
	w.complained = time.Time{}
	w.options.Logger.Info("audit file opened again")
}

// end writes what was in the queue when the log was closed, and the last record.
func (w *writer) end() {
	for range len(w.queue.slots)/batchSize + 1 {
		if w.drain() < batchSize {
			break
		}
	}
	w.told = 0 // the last record tells of all
	w.put([]*Record{{Time: time.Now().UTC(), Event: EventEnd}})
	w.err = w.sink.close()
}
