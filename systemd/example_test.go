package systemd_test

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"credrpc/server"
	"credrpc/systemd"
)

// A service that systemd starts for its first caller, tells when it is ready, and shows
// that it is alive.
func Example() {
	log := slog.Default()
	sockets, err := systemd.Sockets()
	if err != nil {
		log.Error("want a socket unit", "error", err)
		return
	}
	notifier, err := systemd.NewNotifier()
	if err != nil {
		log.Error("cannot tell systemd", "error", err)
		return
	}
	defer notifier.Close()

	srv := &server.Server{
		Logger: log,
		Ready:  func() { notifier.Ready() },
		Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
			return append(dst, call.Payload...), nil
		}),
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(sockets[0].Listener) }()
	go notifier.FeedWatchdog(ctx, srv.Progress, log)

	select {
	case err = <-served:
		log.Error("serving failed", "error", err)
	case <-ctx.Done():
		notifier.Stopping()
		srv.Shutdown(context.Background())
	}
}
