package main

import (
	"context"
	"fmt"
	"log"

	"credrpc/server"
)

func main() {
	srv := &server.Server{Mode: 0o666, Handler: server.HandlerFunc(hello)}
	log.Fatal(srv.ListenAndServe("/run/hello.sock"))
}

func hello(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	return fmt.Appendf(dst, "hello uid %d", call.Sender.UID()), nil
}
