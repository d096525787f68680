package program

import (
	"log/slog"
	"sync"
	"time"
)

// complaintInterval is the least time between two log lines of one text. Callers
// can cause them.
const complaintInterval = time.Minute

// complaints writes to the log at a bounded rate.
type complaints struct {
	log *slog.Logger // nil: silent

	mu    sync.Mutex
	texts map[string]*complaint // guarded by mu; the texts are constants of this package
}

// A complaint is what has become of one text.
type complaint struct {
	last    time.Time
	omitted int // since last
}

// add logs text unless it has been logged a short time ago.
func (c *complaints) add(text string, args ...any) {
	if c.log == nil {
		return
	}
	if omitted, due := c.due(text, time.Now()); due {
		c.log.Error(text, append(args, "omitted", omitted)...)
	}
}

// due reports whether text is to be logged now, and how often it was not.
func (c *complaints) due(text string, now time.Time) (omitted int, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.texts == nil {
		c.texts = make(map[string]*complaint)
	}
	before := c.texts[text]
	if before != nil && now.Sub(before.last) < complaintInterval {
		before.omitted++
		return 0, false
	}
	if before != nil {
		omitted = before.omitted
	}
	c.texts[text] = &complaint{last: now}
	return omitted, true
}
