package frame

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// HeaderSize is the length of a header in bytes: one uint32, big endian.
	HeaderSize = 4

	// MaxPayload is the length in bytes of the largest payload that any limit
	// admits. A frame, header included, stays below 0x09000000 bytes: 0x09 is
	// the smallest byte of printable text with tabs and newlines, so text that
	// a confused privileged program writes into a connection always reads as
	// an oversize header and never as the start of a call.
	MaxPayload = 0x09000000 - 1 - HeaderSize

	// UnspecifiedError is what an error frame says when the error has no text.
	// An empty error frame would mean success.
	UnspecifiedError = "unspecified error"
)

var (
	// ErrTruncated reports that the input ended within a frame.
	ErrTruncated = errors.New("frame: truncated")

	// ErrTrailing reports bytes after the last frame of a request or response.
	ErrTrailing = errors.New("frame: trailing bytes")
)

// A TooLargeError reports a payload over the limit.
type TooLargeError struct {
	Length uint64 // length of the payload in bytes, as announced or given
	Limit  uint32 // most bytes that were admitted
}

// Error names both lengths.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("frame: payload of %d bytes is over the limit of %d", e.Length, e.Limit)
}

// AppendRequest appends the frame of a request to dst and returns the extended
// slice. It retains neither argument. It returns dst unchanged and a
// [*TooLargeError] if the payload is longer than [MaxPayload].
func AppendRequest(dst, payload []byte) ([]byte, error) {
	dst, err := AppendHeader(dst, len(payload))
	if err != nil {
		return dst, err
	}
	return append(dst, payload...), nil
}

// AppendResponse appends a successful response, an empty error frame and a
// payload frame, to dst and returns the extended slice. It retains neither
// argument. It returns dst unchanged and a [*TooLargeError] if the payload is
// longer than [MaxPayload].
func AppendResponse(dst, payload []byte) ([]byte, error) {
	dst, err := AppendResponseHeader(dst, len(payload))
	if err != nil {
		return dst, err
	}
	return append(dst, payload...), nil
}

// AppendError appends a failed response, one error frame, to dst and returns
// the extended slice. An empty text becomes [UnspecifiedError]; a text longer
// than [MaxPayload] is cut there.
func AppendError(dst []byte, text string) []byte {
	if text == "" {
		text = UnspecifiedError
	}
	if len(text) > MaxPayload {
		text = text[:MaxPayload]
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}

// AppendHeader appends the header of a frame whose payload has n bytes. It
// returns dst unchanged and a [*TooLargeError] if n is over [MaxPayload]. It
// panics if n is negative.
func AppendHeader(dst []byte, n int) ([]byte, error) {
	if n < 0 {
		panic("frame: negative payload length")
	}
	if n > MaxPayload {
		return dst, &TooLargeError{Length: uint64(n), Limit: MaxPayload}
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n)), nil
}

// AppendResponseHeader appends what precedes the payload of a successful
// response: the empty error frame and the header of a payload of n bytes. It
// fails as [AppendHeader] does.
func AppendResponseHeader(dst []byte, n int) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst, err := AppendHeader(dst, n)
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}
