package frame

// A ResponseDecoder finds the error text or the payload of a response in bytes
// that arrive in any split. The zero value admits an empty answer only;
// [ResponseDecoder.Reset] sets a limit, which holds for the error text and for
// the payload. It is not safe for concurrent use.
type ResponseDecoder struct {
	frame  Decoder
	limit  uint32
	answer bool // the error frame was empty: frame is the payload frame
}

// Reset makes d ready for a new response.
func (d *ResponseDecoder) Reset(limit uint32) {
	d.limit, d.answer = limit, false
	d.frame.Reset(limit)
}

// Next consumes the bytes of chunk that belong to the response. It returns the
// piece of chunk that is error text ([ResponseDecoder.Failed]) or payload, and
// the rest that lies behind the response; both alias chunk. Bytes behind a
// non-empty error frame are rest too, and mean nothing.
//
// It returns a [*TooLargeError] as soon as a header over the limit is complete.
func (d *ResponseDecoder) Next(chunk []byte) (piece, rest []byte, err error) {
	if !d.answer {
		piece, rest, err = d.frame.Next(chunk)
		if err != nil || !d.frame.Done() || d.frame.length > 0 {
			return piece, rest, err
		}
		d.answer = true
		d.frame.Reset(d.limit)
		chunk = rest
	}
	return d.frame.Next(chunk)
}

// Done reports whether the whole response has been consumed.
func (d *ResponseDecoder) Done() bool {
	return d.frame.Done() && (d.answer || d.frame.length > 0)
}

// Failed reports whether what has been consumed is the start of a failed
// response, so that the pieces are error text.
func (d *ResponseDecoder) Failed() bool {
	return !d.answer && d.frame.have == HeaderSize && d.frame.length > 0
}

// Missing returns how many bytes the current frame of the response lacks as far
// as is known. It comes from the sender: it is no size to allocate.
func (d *ResponseDecoder) Missing() int { return d.frame.Missing() }

// Started reports whether any byte of the response has been consumed.
func (d *ResponseDecoder) Started() bool { return d.answer || d.frame.Started() }

// ParseResponse returns the content of the response that b holds, aliasing b:
// the answer's payload, or the text of a failed call with failed set. It returns
// [ErrTruncated] if b ends within the response, [ErrTrailing] if bytes follow a
// successful one, and a [*TooLargeError] if a frame has more than limit bytes.
// What follows a non-empty error frame is ignored.
func ParseResponse(b []byte, limit uint32) (content []byte, failed bool, err error) {
	var d ResponseDecoder
	d.Reset(limit)
	content, rest, err := d.Next(b)
	switch {
	case err != nil:
		return nil, d.Failed(), err
	case !d.Done():
		return nil, d.Failed(), ErrTruncated
	case len(rest) > 0 && !d.Failed():
		return nil, false, ErrTrailing
	}
	return content, d.Failed(), nil
}
