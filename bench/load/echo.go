package load

import (
	"encoding/binary"
	"sync"
)

// The first byte of a payload. See the package's documentation.
const (
	// Sleeping begins a sleeping caller's calls. A server that takes part sleeps
	// before it answers one.
	Sleeping = 's'

	// awake begins the calls of all other callers whose answer is the request.
	awake = 'c'

	// wishing begins a call whose answer shall have a size of its own.
	wishing = 'a'

	// The same of calls whose answer shall say who called.
	identified        = 'C'
	identifiedWishing = 'A'
)

const (
	// numberEnd is where the number of a call ends in its payload: behind the
	// first byte, as a uint64.
	numberEnd = 9

	// wishEnd is where the size of the answer ends: behind the number, as a
	// uint32.
	wishEnd = 13

	// identityEnd is where who called ends: behind that, user and group, as uint32.
	identityEnd = 21
)

// period is after how many bytes the bytes of payloads repeat. It is prime, so
// that bytes that are taken from another page, or another buffer, differ. A table
// of them fits into the caches of a core.
const period = 65521

// appendTable appends the bytes of payloads up to their first repetition: the
// high bytes of a linear congruential generator, which is all that matters here.
func appendTable(dst []byte) []byte {
	x := uint64(1)
	for range period {
		x = x*6364136223846793005 + 1442695040888963407
		dst = append(dst, byte(x>>56))
	}
	return dst
}

// makeStream returns the first n bytes of payloads.
func makeStream(n int) []byte {
	stream := appendTable(make([]byte, 0, max(n, period)))
	for len(stream) < n {
		stream = append(stream, stream[:min(period, n-len(stream))]...)
	}
	return stream[:n]
}

// An Echo makes the answers of a server that takes part. The zero value is ready,
// and its methods are safe for concurrent use.
type Echo struct {
	once  sync.Once
	table []byte // made when the first answer has a size of its own
}

// Wishes reports whether a request asks for an answer that is not the request.
func (e *Echo) Wishes(request []byte) bool {
	return resizes(request) || identifies(request)
}

// resizes reports whether the answer shall have a size of its own.
func resizes(request []byte) bool {
	return len(request) >= wishEnd && (request[0] == wishing || request[0] == identifiedWishing)
}

// identifies reports whether the answer shall say who called.
func identifies(request []byte) bool {
	return len(request) >= identityEnd && (request[0] == identified || request[0] == identifiedWishing)
}

// Append appends the answer to a request of the user uid and the group gid. It never
// appends more than [MaxPayload] bytes, whatever the request says, unless that is
// longer itself.
func (e *Echo) Append(dst, request []byte, uid, gid uint32) []byte {
	before := len(dst)
	dst = e.appendSized(dst, request)
	if answer := dst[before:]; identifies(request) && len(answer) >= identityEnd {
		binary.BigEndian.PutUint32(answer[wishEnd:], uid)
		binary.BigEndian.PutUint32(answer[wishEnd+4:], gid)
	}
	return dst
}

// appendSized appends the answer, without who called.
func (e *Echo) appendSized(dst, request []byte) []byte {
	if !resizes(request) {
		return append(dst, request...)
	}
	size := int(min(binary.BigEndian.Uint32(request[numberEnd:]), MaxPayload))
	if size <= len(request) {
		return append(dst, request[:size]...)
	}
	e.once.Do(func() { e.table = appendTable(nil) })
	dst = append(dst, request...)
	for n := len(request); n < size; {
		piece := e.table[n%period:]
		piece = piece[:min(len(piece), size-n)]
		dst = append(dst, piece...)
		n += len(piece)
	}
	return dst
}
