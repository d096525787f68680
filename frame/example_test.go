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

// A client receives a response in pieces, and knows after each whether it is whole.
func ExampleResponseDecoder() {
	for _, pieces := range [][]string{
		{"\x00\x00\x00\x00\x00\x00", "\x00\x05he", "llo"},
		{"\x00\x00\x00\x06den", "ied"},
	} {
		var d frame.ResponseDecoder
		var content []byte
		for d.Reset(1 << 20); !d.Done(); pieces = pieces[1:] {
			piece, _, err := d.Next([]byte(pieces[0]))
			if err != nil {
				fmt.Println(err)
				return
			}
			content = append(content, piece...)
		}
		fmt.Printf("%q failed=%v\n", content, d.Failed())
	}
	// Output:
	// "hello" failed=false
	// "denied" failed=true
}

func ExampleParseResponse() {
	for _, response := range []string{
		"\x00\x00\x00\x00\x00\x00\x00\x02hi",
		"\x00\x00\x00\x0cno such file",
		"\x00\x00\x00\x00\x00\x00",
	} {
		content, failed, err := frame.ParseResponse([]byte(response), 1<<20)
		fmt.Printf("%q %v %v\n", content, failed, err)
	}
	// Output:
	// "hi" false <nil>
	// "no such file" true <nil>
	// "" false frame: truncated
}

// Header and payload can be written as two pieces, so that a large one is not copied.
func ExampleAppendHeader() {
	payload := make([]byte, 1000)
	header, err := frame.AppendHeader(nil, len(payload))
	fmt.Printf("%q %v\n", header, err)
	_, err = frame.AppendHeader(nil, 1<<30)
	fmt.Println(err)
	// Output:
	// "\x00\x00\x03\xe8" <nil>
	// frame: payload of 1073741824 bytes is over the limit of 150994939
}
