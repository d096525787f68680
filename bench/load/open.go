package load

import "time"

// follow makes the calls that the schedule has for this caller, until there are
// none or the run ends.
func (c *caller) follow() {
	k := &c.batch[0]
	for c.failures < giveUp {
		due, ok := c.schedule.take()
		if !ok {
			return
		}
		k.at, k.tally = due.at, c.tallyOf(due.step)
		if !c.await(k) {
			return
		}
		c.start(k)
		if now, right := c.finish(k); right {
			c.completed(k, now)
		}
	}
}

// completed counts the call for the step in which it was answered.
func (c *caller) completed(k *call, now time.Duration) {
	steps := c.schedule.steps // whose times never change
	for c.step < len(steps) && now >= steps[c.step].until {
		c.step++
	}
	if c.step < len(steps) {
		t := c.tallyOf(c.step)
		t.Completed++
		t.CompletedBytes += uint64(k.request + k.answer)
	}
}

// await waits until the arrival of the call, if that is still to come, and tells
// apart why it begins late. ok is false if the run ended before it has begun.
func (c *caller) await(k *call) (ok bool) {
	free := c.now()
	if int64(free) >= c.until.Load() {
		k.tally.unstarted(free - k.at)
		return false
	}
	if wait := free - k.at; wait >= 0 {
		k.begun = free
		c.late = min(c.late, wait) // had it been on time before, it would be less late now
		k.tally.Pacing.record(c.late)
		k.tally.CallerWait.record(wait - c.late)
		return true
	}
	k.begun = c.wait(&c.clock, k.at, &c.until)
	if k.begun < k.at {
		return false
	}
	c.late = k.begun - k.at
	k.tally.Pacing.record(c.late)
	k.tally.CallerWait.record(0)
	return true
}

// unstarted counts an arrival that no caller has begun, unless its time is still
// to come.
func (t *tally) unstarted(age time.Duration) {
	if age < 0 {
		return
	}
	t.Unstarted++
	t.Latency.record(age)
	t.CallerWait.record(age)
}
