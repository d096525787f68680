//go:build linux

package client_test

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"credrpc/client"
	"credrpc/frame"
)

// greet runs a server that answers one call, and returns its path.
func greet(response []byte) (path string, stop func()) {
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, "hello.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := listener.Accept(); err == nil {
			readRequest(conn)
			conn.Write(response)
			conn.Close()
		}
	}()
	return path, func() {
		listener.Close()
		<-done
		os.RemoveAll(dir)
	}
}

func ExampleClient_Call() {
	response, _ := frame.AppendResponse(nil, []byte("hello uid 1000"))
	path, stop := greet(response)
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := client.Client{Path: path}
	answer, err := c.Call(ctx, []byte("who am I"))
	fmt.Printf("%s %v\n", answer, err)
	// Output: hello uid 1000 <nil>
}

// Errors tell apart what the server said and what kept it from saying anything.
func ExampleClient_Call_errors() {
	path, stop := greet(frame.AppendError(nil, "uid 1000 may not"))
	defer stop()

	describe := func(err error) string {
		var remote *client.RemoteError
		switch {
		case errors.As(err, &remote):
			return "refused: " + remote.Text
		case errors.Is(err, fs.ErrNotExist):
			return "no such socket"
		case errors.Is(err, client.ErrUnreachable):
			return "not running"
		default:
			return err.Error()
		}
	}
	for _, path := range []string{path, path + ".absent"} {
		c := client.Client{Path: path}
		_, err := c.Call(context.Background(), nil)
		fmt.Println(describe(err))
	}
	// Output:
	// refused: uid 1000 may not
	// no such socket
}

// A buffer is used for one answer after the other.
func ExampleClient_AppendCall() {
	response, _ := frame.AppendResponse(nil, []byte("an answer"))
	path, stop := greet(response)
	defer stop()

	c := client.Client{Path: path}
	buffer := make([]byte, 0, 4096)
	buffer, err := c.AppendCall(context.Background(), buffer[:0], []byte("a request"))
	fmt.Printf("%s %d %v\n", buffer, cap(buffer), err)
	// Output: an answer 4096 <nil>
}

// Any pair of types that marshal themselves makes a typed call.
func ExampleClient_CallBinary() {
	at := time.Date(2001, time.September, 9, 1, 46, 40, 0, time.UTC)
	bytes, _ := at.MarshalBinary()
	response, _ := frame.AppendResponse(nil, bytes)
	path, stop := greet(response)
	defer stop()

	c := client.Client{Path: path}
	var request encoding.BinaryMarshaler = time.Unix(0, 0)
	var answer time.Time
	err := c.CallBinary(context.Background(), request, &answer)
	fmt.Println(answer, err)
	// Output: 2001-09-09 01:46:40 +0000 UTC <nil>
}
