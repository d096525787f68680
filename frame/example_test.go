package frame_test

import (
	"errors"
	"fmt"

	"credrpc/frame"
)

func ExampleAppendRequest() {
	request, err := frame.AppendRequest(nil, []byte("hello"))
	fmt.Printf("%q %v\n", request, err)
	// Output: "\x00\x00\x00\x05hello" <nil>
}

func ExampleAppendResponse() {
	response, err := frame.AppendResponse(nil, []byte("hi"))
	fmt.Printf("%q %v\n", response, err)
	// Output: "\x00\x00\x00\x00\x00\x00\x00\x02hi" <nil>
}

func ExampleAppendError() {
	fmt.Printf("%q\n", frame.AppendError(nil, "no such file"))
	// Output: "\x00\x00\x00\fno such file"
}

// A request arrives in two pieces.
func ExampleDecoder() {
	var d frame.Decoder
	d.Reset(1 << 20)
	var payload []byte
	for _, chunk := range []string{"\x00\x00\x00\x05he", "llo"} {
		piece, _, err := d.Next([]byte(chunk))
		if err != nil {
			fmt.Println(err)
			return
		}
		payload = append(payload, piece...)
		fmt.Printf("%q done=%v missing=%d\n", payload, d.Done(), d.Missing())
	}
	// Output:
	// "he" done=false missing=3
	// "hello" done=true missing=0
}

func ExampleParseRequest() {
	_, err := frame.ParseRequest([]byte("\x00\x00\x10\x00"), 1024)
	var tooLarge *frame.TooLargeError
	if errors.As(err, &tooLarge) {
		fmt.Println(tooLarge.Length, tooLarge.Limit)
	}
	// Output: 4096 1024
}
