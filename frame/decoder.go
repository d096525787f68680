package frame

// A Decoder finds the payload of one frame in bytes that arrive in any split.
// The zero value admits an empty payload only; [Decoder.Reset] sets a limit. A
// Decoder is 16 bytes, holds no payload and may be copied between calls. It is
// not safe for concurrent use.
type Decoder struct {
	limit     uint32 // most payload bytes admitted
	length    uint32 // announced by the header, big-endian, once have == HeaderSize
	remaining uint32 // payload bytes still to come
	have      uint8  // bytes of the header that are in length
}

// Reset makes d ready for a new frame whose payload has at most limit bytes. A
// limit over [MaxPayload] counts as MaxPayload.
func (d *Decoder) Reset(limit uint32) {
	*d = Decoder{limit: min(limit, MaxPayload)}
}

// Next consumes the bytes of chunk that belong to the frame. It returns the
// piece of chunk that is payload and the rest that lies behind the frame; both
// alias chunk, and rest is empty as long as [Decoder.Done] is false.
//
// It returns a [*TooLargeError] as soon as a header over the limit is complete.
// After an error d consumes nothing more and returns the error again.
func (d *Decoder) Next(chunk []byte) (piece, rest []byte, err error) {
	if d.have < HeaderSize {
		for ; d.have < HeaderSize; d.have++ {
			if len(chunk) == 0 {
				return nil, chunk, nil
			}
			d.length = d.length<<8 | uint32(chunk[0])
			chunk = chunk[1:]
		}
		d.remaining = d.length
	}
	if d.length > d.limit {
		return nil, chunk, &TooLargeError{Length: uint64(d.length), Limit: d.limit}
	}
	if uint64(len(chunk)) > uint64(d.remaining) {
		piece, rest = chunk[:d.remaining], chunk[d.remaining:]
	} else {
		piece, rest = chunk, chunk[len(chunk):]
	}
	d.remaining -= uint32(len(piece))
	return piece, rest, nil
}

// Done reports whether the whole frame has been consumed.
func (d *Decoder) Done() bool {
	return d.have == HeaderSize && d.length <= d.limit && d.remaining == 0
}

// Missing returns how many bytes the frame lacks as far as is known: the rest
// of the header, or the rest of the payload. It is 0 when the frame is done and
// when its header is over the limit. Missing comes from the sender: it is no
// size to allocate.
func (d *Decoder) Missing() int {
	if d.have < HeaderSize {
		return HeaderSize - int(d.have)
	}
	if d.length > d.limit {
		return 0
	}
	return int(d.remaining)
}

// Received returns how many bytes of the frame have been consumed, its header included.
func (d *Decoder) Received() int {
	return int(d.have) + int(d.length-d.remaining)*(int(d.have)/HeaderSize)
}

// Started reports whether any byte of the frame has been consumed.
func (d *Decoder) Started() bool { return d.have > 0 }

// ParseRequest returns the payload of the request that b holds, aliasing b. It
// returns [ErrTruncated] if b ends within the frame, [ErrTrailing] if bytes
// follow it, and a [*TooLargeError] if the payload has more than limit bytes.
func ParseRequest(b []byte, limit uint32) (payload []byte, err error) {
	var d Decoder
	d.Reset(limit)
	payload, rest, err := d.Next(b)
	switch {
	case err != nil:
		return nil, err
	case !d.Done():
		return nil, ErrTruncated
	case len(rest) > 0:
		return nil, ErrTrailing
	}
	return payload, nil
}
