//go:build linux

package client_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"time"

	"credrpc/client"
	"credrpc/server"
	"credrpc/servertest"
)

// exampleServer runs a server for an example.
func exampleServer(handler server.Handler) *servertest.Server {
	srv, err := servertest.NewServer(&server.Server{Handler: handler})
	if err != nil {
		log.Fatal(err)
	}
	return srv
}

func ExampleClient_Call() {
	srv := exampleServer(server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) {
		return append(request, "? you know best"...), nil
	}))
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := client.Client{Path: srv.Path}
	answer, err := c.Call(ctx, []byte("who am I"))
	fmt.Printf("%s %v\n", answer, err)
	// Output: who am I? you know best <nil>
}

// Errors tell apart what the server said and what kept it from saying anything.
func ExampleClient_Call_errors() {
	srv := exampleServer(server.Plain(func([]byte, server.Credentials) ([]byte, error) {
		return nil, errors.New("not on a Sunday")
	}))
	defer srv.Close()

	describe := func(err error) string {
		var remote *client.RemoteError
		switch {
		case errors.As(err, &remote):
			return "refused: " + remote.Text
		case errors.Is(err, fs.ErrNotExist):
			return "no such socket"
		case errors.Is(err, client.ErrUnreachable):
			return "not running"
		case errors.Is(err, context.DeadlineExceeded):
			return "too slow"
		default:
			return err.Error()
		}
	}
	for _, path := range []string{srv.Path, srv.Path + ".absent"} {
		c := client.Client{Path: path}
		_, err := c.Call(context.Background(), nil)
		fmt.Println(describe(err))
	}
	// Output:
	// refused: not on a Sunday
	// no such socket
}

// An error tells where the call ended. After OpConnect the server has not seen it, so
// that it may be made again whatever it does.
func ExampleError() {
	c := client.Client{Path: "/nonexistent/hello.sock"}
	_, err := c.Call(context.Background(), nil)
	var failure *client.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Op, failure.Path, failure.Err)
	}
	fmt.Println(err)
	// Output:
	// connect /nonexistent/hello.sock no such file or directory
	// client: connect /nonexistent/hello.sock: no such file or directory
}

// A buffer is used for one answer after the other.
func ExampleClient_AppendCall() {
	srv := exampleServer(server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) { return request, nil }))
	defer srv.Close()

	c := client.Client{Path: srv.Path}
	buffer := make([]byte, 0, 4096)
	for _, request := range []string{"one", "two"} {
		var err error
		buffer, err = c.AppendCall(context.Background(), buffer[:0], []byte(request))
		fmt.Printf("%s %d %v\n", buffer, cap(buffer), err)
	}
	// Output:
	// one 4096 <nil>
	// two 4096 <nil>
}

// Any pair of types that marshal themselves makes a typed call.
func ExampleClient_CallBinary() {
	srv := exampleServer(server.Typed(func(_ context.Context, _ *server.Call, t *time.Time) (time.Time, error) {
		return t.Add(1e9 * time.Second), nil
	}))
	defer srv.Close()

	c := client.Client{Path: srv.Path}
	request := time.Unix(0, 0).UTC()
	var answer time.Time
	err := c.CallBinary(context.Background(), request, &answer)
	fmt.Println(answer, err)
	// Output: 2001-09-09 01:46:40 +0000 UTC <nil>
}
