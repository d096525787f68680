package server

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/valyala/bytebufferpool"
)

const (
	// keptBuffer is the capacity in bytes from which on a buffer is a large one.
	keptBuffer = 4 << 10

	// largeSlack is what a large buffer has beyond a power of two: room for what
	// precedes an answer, so that one of 1 MiB does not take 2.
	largeSlack = 64

	// largeClasses are 4 KiB, 8 KiB and so on to 256 MiB, which is more than
	// [frame.MaxPayload].
	largeClasses = 17
)

// buffers lend buffers for requests and answers, and take them back. Small ones
// come from a pool that learns their usual size. Large ones come from a pool for
// each power of two: making one anew for every call costs a call of 1 MiB five
// times what it costs otherwise, in pages to be cleared and collections of garbage.
// What nobody has borrowed between two collections is freed; the runtime collects
// at least every two minutes. A buffer holds what was in it before, so nobody may
// look behind its length.
type buffers struct {
	small bytebufferpool.Pool
	large [largeClasses]sync.Pool // of *bytebufferpool.ByteBuffer
}

// get lends an empty buffer of at least some capacity.
func (b *buffers) get(capacity int) *bytebufferpool.ByteBuffer {
	if capacity <= keptBuffer {
		small := b.small.Get()
		if cap(small.B) < capacity {
			small.B = make([]byte, 0, capacity)
		}
		return small
	}
	class := classOf(capacity)
	if class == largeClasses {
		return &bytebufferpool.ByteBuffer{B: make([]byte, 0, capacity)}
	}
	if large, ok := b.large[class].Get().(*bytebufferpool.ByteBuffer); ok {
		large.B = large.B[:0]
		return large
	}
	return &bytebufferpool.ByteBuffer{B: make([]byte, 0, classSize(class))}
}

// grow returns a buffer of at least some capacity with what is in old, which it
// takes back.
func (b *buffers) grow(old *bytebufferpool.ByteBuffer, capacity int) *bytebufferpool.ByteBuffer {
	larger := b.get(capacity)
	larger.B = append(larger.B, old.B...)
	b.put(old)
	return larger
}

// put takes a buffer back. nil is none.
func (b *buffers) put(buffer *bytebufferpool.ByteBuffer) {
	switch {
	case buffer == nil:
	case cap(buffer.B) <= keptBuffer:
		b.small.Put(buffer)
	default:
		class := classOf(cap(buffer.B))
		if class < largeClasses && cap(buffer.B) < classSize(class) {
			class-- // a handler made it
		}
		if class >= 0 && class < largeClasses {
			b.large[class].Put(buffer)
		}
	}
}

// classOf returns the class of the smallest large buffers of some capacity, or
// largeClasses if there are none.
func classOf(capacity int) int {
	return min(largeClasses, max(0, bits.Len(uint(capacity-largeSlack-1))-bits.Len(keptBuffer-1)))
}

func classSize(class int) int { return keptBuffer<<class + largeSlack }

// ignoredAnswers is how many large answers are not counted after one that had room in
// its dst and did not use it: the handler has memory of its own.
const ignoredAnswers = 1000

// An answerSize is what answers have lately taken, if that is much: the largest,
// which the ones after it make smaller.
type answerSize struct {
	bytes   atomic.Int64
	ignored atomic.Int64 // large answers that will not be counted
}

// note counts an answer of n bytes.
func (s *answerSize) note(n int) {
	size := s.bytes.Load()
	switch {
	case n > keptBuffer && s.ignored.Load() > 0:
		s.ignored.Add(-1)
	case n > keptBuffer && int64(n) > size:
		s.bytes.Store(int64(n)) // of two at once, either
	case size > 0 && int64(n) < size:
		size -= (size - int64(n) + 15) / 16
		if size <= keptBuffer {
			size = 0
		}
		s.bytes.Store(size)
	}
}

// ignore forgets the size of answers for a while.
func (s *answerSize) ignore() {
	s.ignored.Store(ignoredAnswers)
	s.bytes.Store(0)
}
