package load

import (
	"fmt"
	"regexp"
	"strconv"
)

const (
	// MaxCallers is the largest number of callers of a load. Each needs a
	// thread that may wait in the kernel, and Go ends a process at 10,000.
	MaxCallers = 4096

	// MaxBatch is the largest number of calls that a caller has in flight. Each
	// needs a descriptor.
	MaxBatch = 8192
)

// A Load says how many callers there are and how many calls each has in flight.
type Load struct {
	Batch   int // calls that a caller sends before it collects their answers
	Callers int
}

// Parse reads the notation of a load: bKxN or tN, with K up to [MaxBatch] and N
// up to [MaxCallers].
func Parse(s string) (Load, error) {
	m := regexp.MustCompile(`^(?:t|b([0-9]{1,4})x)([0-9]{1,4})$`).FindStringSubmatch(s)
	if m == nil {
		return Load{}, fmt.Errorf("load: %q is neither bKxN nor tN", s)
	}
	l := Load{Batch: 1}
	if m[1] != "" {
		l.Batch, _ = strconv.Atoi(m[1]) // at most four digits
	}
	l.Callers, _ = strconv.Atoi(m[2])
	if err := l.Validate(); err != nil {
		return Load{}, err
	}
	return l, nil
}

// Validate reports a load whose numbers are out of range.
func (l Load) Validate() error {
	if l.Batch < 1 || l.Batch > MaxBatch {
		return fmt.Errorf("load: a batch of %d calls is not in 1 to %d", l.Batch, MaxBatch)
	}
	if l.Callers < 1 || l.Callers > MaxCallers {
		return fmt.Errorf("load: %d callers are not in 1 to %d", l.Callers, MaxCallers)
	}
	return nil
}

// String returns the notation that [Parse] reads.
func (l Load) String() string {
	if l.Batch == 1 {
		return "t" + strconv.Itoa(l.Callers)
	}
	return fmt.Sprintf("b%dx%d", l.Batch, l.Callers)
}

// UnmarshalText reads the notation of a load, as [Parse] does.
func (l *Load) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// MarshalText returns the notation of a load.
func (l Load) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
