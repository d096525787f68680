package control_test

import (
	"context"
	"log"
	"log/slog"
	"time"

	"credrpc/control"
	"credrpc/server"
)

// A service with a control socket that can be drained, and ends after it is.
func ExampleHandler() {
	var level slog.LevelVar
	users := control.NewUsers()
	drain := make(chan struct{}, 1)
	srv := &server.Server{
		Handler:        server.Plain(func([]byte, server.Credentials) ([]byte, error) { return []byte("hello"), nil }),
		MeasureLatency: true,
		Ended:          users.Ended,
	}
	handler := &control.Handler{
		Server:   srv,
		Users:    users,
		LogLevel: &level,
		Drain: func() {
			select {
			case drain <- struct{}{}:
			default: // asked for already
			}
		},
	}
	operator := handler.NewServer()
	go operator.ListenAndServe("/run/hello/control")
	go srv.ListenAndServe("/run/hello/sock")
	<-drain

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil { // answers the calls in flight
		log.Print(err)
	}
	operator.Shutdown(ctx) // and then those of operators
}
