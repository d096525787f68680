package reference

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	// headerSize is the length of a frame's header in bytes.
	headerSize = 4

	// maxPayload keeps a frame below 0x09000000 bytes, so that printed text
	// never reads as a header.
	maxPayload = 0x09000000 - 1 - headerSize
)

// ErrTooLarge reports a frame over the largest that the protocol has.
var ErrTooLarge = errors.New("reference: frame is too large")

// readFrame reads one frame from r and returns its payload. Memory grows with
// the bytes that arrive. It returns [ErrTooLarge], [io.ErrUnexpectedEOF] if r
// ends within the frame, or r's error.
func readFrame(r io.Reader) ([]byte, error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, unexpected(err)
	}
	length := binary.BigEndian.Uint32(header)
	if length > maxPayload {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, length)
	}
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, r, int64(length)); err != nil {
		return nil, unexpected(err)
	}
	return payload.Bytes(), nil
}

// writeFrame writes the frame of payload to w. It returns [ErrTooLarge] or w's
// error.
func writeFrame(w io.Writer, payload []byte) error {
	if len(payload) > maxPayload {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(payload))
	}
	header := make([]byte, headerSize)
	binary.BigEndian.PutUint32(header, uint32(len(payload)))
	if _, err := w.Write(header); err != nil {
		return err
	}
	if len(payload) == 0 {
		return nil // the frame is complete, and the peer may have answered and gone
	}
	_, err := w.Write(payload)
	return err
}

// unexpected makes an end of file an unexpected one.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
