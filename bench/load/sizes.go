package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"credrpc/internal/size"
)

// MaxPayload is the largest payload of a call in bytes.
const MaxPayload = 16 << 20

// A Range is a number of bytes: any from Low to High, all equally likely.
type Range struct {
	Low, High int
}

// ParseRange reads N or LOW-HIGH, numbers of bytes as package size reads them.
func ParseRange(s string) (Range, error) {
	low, high, apart := strings.Cut(s, "-")
	if !apart {
		high = low
	}
	least, err := size.Parse(low)
	most, highErr := size.Parse(high)
	if err != nil || highErr != nil {
		return Range{}, fmt.Errorf("load: %q is neither %s nor LOW-HIGH", s, size.Wanted)
	}
	r := Range{int(least), int(most)}
	return r, r.validate()
}

func (r Range) validate() error {
	if r.Low < 0 || r.High > MaxPayload {
		return fmt.Errorf("load: a payload of %v bytes is not in 0 to %d", r, MaxPayload)
	}
	if r.High < r.Low {
		return fmt.Errorf("load: sizes from %d to %d are none", r.Low, r.High)
	}
	return nil
}

// String returns the notation that [ParseRange] reads.
func (r Range) String() string {
	if r.Low == r.High {
		return strconv.Itoa(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// UnmarshalText reads the notation of a range.
func (r *Range) UnmarshalText(text []byte) error {
	parsed, err := ParseRange(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// MarshalText returns the notation of a range.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// pick returns one of the sizes.
func (r Range) pick(random *rand.Rand) int {
	if r.Low == r.High {
		return r.Low
	}
	return r.Low + random.IntN(r.High-r.Low+1)
}

// A Size is what one kind of calls carries.
type Size struct {
	Request Range
	Answer  *Range // nil: the answer is the request
	Weight  int    // of the kind among all kinds, at least 1
}

// Sizes are the kinds of calls that a load has. They are written
// REQUEST[/ANSWER][:WEIGHT],… with ranges as [ParseRange] reads them. Without a
// weight it is 1, without an answer the server echoes.
type Sizes []Size

// ParseSizes reads the notation of sizes.
func ParseSizes(s string) (Sizes, error) {
	var all Sizes
	for _, kind := range strings.Split(s, ",") {
		ranges, weight, weighted := strings.Cut(kind, ":")
		size := Size{Weight: 1}
		var err error
		if weighted {
			if size.Weight, err = strconv.Atoi(weight); err != nil {
				return nil, fmt.Errorf("load: the weight %q in %q is no number", weight, s)
			}
		}
		request, answer, apart := strings.Cut(ranges, "/")
		if size.Request, err = ParseRange(request); err != nil {
			return nil, err
		}
		if apart {
			r, err := ParseRange(answer)
			if err != nil {
				return nil, err
			}
			size.Answer = &r
		}
		all = append(all, size)
	}
	return all, all.validate()
}

// fixed are the sizes of calls that all have one size.
func fixed(payload int) Sizes {
	return Sizes{{Request: Range{payload, payload}, Weight: 1}}
}

// maxWeight is the largest weight: a sum of them stays a small number.
const maxWeight = 1_000_000

func (s Sizes) validate() error {
	for _, size := range s {
		if err := size.Request.validate(); err != nil {
			return err
		}
		if size.Weight < 1 || size.Weight > maxWeight {
			return fmt.Errorf("load: a weight of %d is not in 1 to %d", size.Weight, maxWeight)
		}
		if size.Answer == nil {
			continue
		}
		if err := size.Answer.validate(); err != nil {
			return err
		}
		if size.Request.Low < wishEnd {
			return fmt.Errorf("load: a request of %d bytes cannot say how long the answer shall be; it takes %d", size.Request.Low, wishEnd)
		}
	}
	return nil
}

// String returns the notation that [ParseSizes] reads.
func (s Sizes) String() string {
	kinds := make([]string, len(s))
	for i, size := range s {
		kinds[i] = size.Request.String()
		if size.Answer != nil {
			kinds[i] += "/" + size.Answer.String()
		}
		if size.Weight != 1 {
			kinds[i] += ":" + strconv.Itoa(size.Weight)
		}
	}
	return strings.Join(kinds, ",")
}

// UnmarshalText reads the notation of sizes.
func (s *Sizes) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = nil
		return nil
	}
	parsed, err := ParseSizes(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// MarshalText returns the notation of sizes, "" for none.
func (s Sizes) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Apart reports whether any answer has a size of its own.
func (s Sizes) Apart() bool {
	for _, size := range s {
		if size.Answer != nil {
			return true
		}
	}
	return false
}

// least returns the smallest size of a request or an answer.
func (s Sizes) least() int {
	least := MaxPayload
	for _, size := range s {
		least = min(least, size.Request.Low)
		if size.Answer != nil {
			least = min(least, size.Answer.Low)
		}
	}
	return least
}

// Max returns the largest size of a request and of an answer.
func (s Sizes) Max() (request, answer int) {
	for _, size := range s {
		request = max(request, size.Request.High)
		if size.Answer != nil {
			answer = max(answer, size.Answer.High)
		} else {
			answer = max(answer, size.Request.High)
		}
	}
	return request, answer
}

// An exchange is what one call carries.
type exchange struct {
	request, answer int
	apart           bool // the answer has a size of its own
}

// single returns the one exchange that all calls have, if they have one.
func (s Sizes) single() (x exchange, ok bool) {
	if len(s) != 1 || s[0].Answer != nil || s[0].Request.Low != s[0].Request.High {
		return x, false
	}
	n := s[0].Request.Low
	return exchange{request: n, answer: n}, true
}

// pick returns the sizes of one call.
func (s Sizes) pick(random *rand.Rand) exchange {
	total := 0
	for i := range s {
		total += s[i].Weight
	}
	at := random.IntN(total)
	i := 0
	for ; at >= s[i].Weight; i++ {
		at -= s[i].Weight
	}
	x := exchange{request: s[i].Request.pick(random)}
	x.answer = x.request
	if s[i].Answer != nil {
		x.answer, x.apart = s[i].Answer.pick(random), true
	}
	return x
}
