package server_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os/signal"
	"strings"
	"syscall"

	"credrpc/server"
)

func hello(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	return fmt.Appendf(dst, "hello uid %d", call.Sender.UID()), nil
}

// The ten-line service of the README.
func Example() {
	srv := &server.Server{Mode: 0o666, Handler: server.HandlerFunc(hello)}
	log.Fatal(srv.ListenAndServe("/run/hello.sock"))
}

// A program that answers what is in flight before it ends.
func ExampleServer_Shutdown() {
	srv := &server.Server{Handler: server.HandlerFunc(hello)}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	ended := make(chan error)
	go func() {
		<-stop.Done()
		ended <- srv.Shutdown(context.Background())
	}()
	if err := srv.ListenAndServe("/run/hello.sock"); !errors.Is(err, server.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-ended; err != nil { // Serve returns before Shutdown does
		log.Fatal(err)
	}
}

func ExamplePlain() {
	srv := &server.Server{Handler: server.Plain(func(request []byte, sender server.Credentials) ([]byte, error) {
		if sender.UID() != 0 {
			return nil, errors.New("for root only")
		}
		return []byte(strings.ToUpper(string(request))), nil
	})}
	log.Fatal(srv.ListenAndServe("/run/upper.sock"))
}
