package sandbox_test

import (
	"context"
	"log"
	"log/slog"
	"os"

	"credrpc/sandbox"
	"credrpc/server"
)

// A service gives up what it does not need once its socket listens, before the first
// call. It keeps the directory of its messages, and that of its socket, to remove it.
func ExampleApply() {
	srv := &server.Server{
		Mode: 0o666,
		Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
			text, err := os.ReadFile("/usr/share/hello/message")
			return append(dst, text...), err
		}),
		Listening: func() error {
			report, err := sandbox.Apply(sandbox.Options{
				Read:   []string{"/usr/share/hello"},
				Remove: []string{"/run/hello"},
			})
			if err != nil {
				return err // and the program must not go on
			}
			slog.Info("sandbox in force", "sandbox", report)
			return nil
		},
	}
	log.Fatal(srv.ListenAndServe("/run/hello/hello.sock"))
}
