package load

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestEcho(t *testing.T) {
	stream := makeStream(3*period + 7)
	// wish returns a request of a size that asks for an answer.
	wish := func(size int, answer uint32) []byte {
		request := bytes.Clone(stream[:size])
		request[0] = wishing
		binary.BigEndian.PutUint32(request[numberEnd:], answer)
		return request
	}
	// expect returns what the answer to it must be.
	expect := func(request []byte, size int) []byte {
		return append(bytes.Clone(request[:min(size, len(request))]), stream[min(size, len(request)):size]...)
	}
	tests := []struct {
		name    string
		request []byte
		size    int // of the answer; -1 is the request itself
	}{
		{"nothing", nil, -1},
		{"a request that wants nothing", []byte("cxxxxxxxxxxxxxxxxxx"), -1},
		{"a wish that is cut off", wish(13, 5)[:12], -1},
		{"no answer", wish(13, 0), 0},
		{"a part of what all have", wish(13, 5), 5},
		{"as much as the request", wish(50, 50), 50},
		{"a byte more", wish(50, 51), 51},
		{"more than the bytes that repeat", wish(13, 3*period+7), 3*period + 7},
		{"a request that is longer than those", wish(period+3, 2*period+4), 2*period + 4},
	}
	var echo Echo
	for _, tt := range tests {
		want := tt.request
		if tt.size >= 0 {
			want = expect(tt.request, tt.size)
		}
		got := echo.Append([]byte("before"), tt.request, 5, 6)
		if !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Errorf("%s: %d bytes, want %d", tt.name, len(got)-6, len(want))
		}
	}
	if got := echo.Append(nil, wish(13, 1<<32-1), 5, 6); len(got) != MaxPayload {
		t.Errorf("a wish for 4 GiB: %d bytes", len(got))
	}
}

// TestEchoSaysWhoCalled replaces what the request says about that, and nothing else.
func TestEchoSaysWhoCalled(t *testing.T) {
	stream := makeStream(100)
	who := []byte{0, 1, 0, 2, 0xff, 0xff, 0xff, 0xfe}
	for _, tt := range []struct {
		first             byte
		request, answered int
		said              bool
	}{
		{identified, 21, 21, true},
		{identified, 20, 20, false},
		{identified, 90, 90, true},
		{identifiedWishing, 21, 100, true},
		{identifiedWishing, 50, 30, true},
		{identifiedWishing, 50, 20, false},
		{awake, 50, 50, false},
		{wishing, 50, 60, false},
	} {
		request := bytes.Clone(stream[:tt.request])
		request[0] = tt.first
		binary.BigEndian.PutUint32(request[numberEnd:], uint32(tt.answered))
		want := append(bytes.Clone(request), stream[tt.request:]...)[:tt.answered]
		if tt.said {
			copy(want[wishEnd:], who)
		}
		if got := new(Echo).Append(nil, request, 0x00010002, 0xfffffffe); !bytes.Equal(got, want) {
			t.Errorf("%+v: %x, want %x", tt, got, want)
		}
	}
}

// TestStream checks that bytes do not repeat at the distances of pages and buffers.
func TestStream(t *testing.T) {
	stream := makeStream(1 << 20)
	for distance := 1 << 8; distance < len(stream)/2; distance *= 2 {
		same := 0
		for i := range 4096 {
			if stream[i] == stream[i+distance] {
				same++
			}
		}
		if same > 100 { // one in 256 is chance
			t.Errorf("at a distance of %d, %d of 4096 bytes are the same", distance, same)
		}
	}
	if !bytes.Equal(makeStream(100), stream[:100]) || len(makeStream(0)) != 0 {
		t.Error("short streams are no beginnings of the long one")
	}
}
