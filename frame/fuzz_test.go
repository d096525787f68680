package frame

import (
	"bytes"
	"testing"
)

func seed(f *testing.F) {
	request, _ := AppendRequest(nil, []byte("request"))
	response, _ := AppendResponse(nil, []byte("response"))
	for _, in := range [][]byte{nil, request, response, AppendError(nil, "error"), []byte("\xff\xff\xff\xff"), []byte("text")} {
		f.Add(in, uint64(1), uint32(16))
		f.Add(in, uint64(0x1234567), uint32(7))
	}
}

// chunks cuts in into pieces of 1 to 8 bytes, as the bits of cuts say.
func chunks(in []byte, cuts uint64) (pieces [][]byte) {
	for len(in) > 0 {
		n := min(int(cuts&7)+1, len(in))
		pieces, in = append(pieces, in[:n]), in[n:]
		cuts = cuts>>3 | cuts<<61
	}
	return pieces
}

// FuzzRequest checks that a request in any split decodes as it does whole, and
// that what decodes encodes back to the same bytes.
func FuzzRequest(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte, cuts uint64, limit uint32) {
		var d Decoder
		d.Reset(limit)
		payload, trailing, err := split(&d, d.Done, chunks(in, cuts))
		whole, wholeErr := ParseRequest(in, limit)
		if err == nil && !d.Done() {
			err = ErrTruncated
		} else if err == nil && trailing {
			err = ErrTrailing
		}
		if !sameKind(err, wholeErr) || err == nil && !bytes.Equal(payload, whole) {
			t.Fatalf("in pieces %q, %v; whole %q, %v", payload, err, whole, wholeErr)
		}
		if wholeErr == nil {
			if again, err := AppendRequest(nil, whole); err != nil || !bytes.Equal(again, in) {
				t.Fatalf("%q encodes back to %q, %v", in, again, err)
			}
		}
	})
}

// FuzzResponse is FuzzRequest for responses.
func FuzzResponse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte, cuts uint64, limit uint32) {
		var d ResponseDecoder
		d.Reset(limit)
		content, trailing, err := split(&d, d.Done, chunks(in, cuts))
		whole, failed, wholeErr := ParseResponse(in, limit)
		if err == nil && !d.Done() {
			err = ErrTruncated
		} else if err == nil && trailing && !d.Failed() {
			err = ErrTrailing
		}
		if !sameKind(err, wholeErr) || d.Failed() != failed || err == nil && !bytes.Equal(content, whole) {
			t.Fatalf("in pieces %q, %v, %v; whole %q, %v, %v", content, d.Failed(), err, whole, failed, wholeErr)
		}
		if wholeErr == nil && !failed {
			if again, err := AppendResponse(nil, whole); err != nil || !bytes.Equal(again, in) {
				t.Fatalf("%q encodes back to %q, %v", in, again, err)
			}
		}
		if wholeErr == nil && failed && !bytes.HasPrefix(in, AppendError(nil, string(whole))) {
			t.Fatalf("%q does not start with its error frame", in)
		}
	})
}

// split feeds pieces to d until one fails or the message is done, and reports
// whether bytes are left over.
func split(d next, done func() bool, pieces [][]byte) (content []byte, trailing bool, err error) {
	for i, p := range pieces {
		piece, rest, err := d.Next(p)
		content = append(content, piece...)
		if err != nil {
			return content, false, err
		}
		if done() {
			return content, len(rest) > 0 || i < len(pieces)-1, nil
		}
	}
	return content, false, nil
}
