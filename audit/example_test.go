package audit_test

import (
	"context"
	"log"
	"log/slog"
	"time"

	"credrpc/accessdb"
	"credrpc/audit"
	"credrpc/server"
)

// Denied calls are written to a file. What is left is written at the end.
func Example() {
	rules, err := accessdb.Open("/etc/hello/rules.cdb", accessdb.Options{Logger: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	file, err := audit.OpenFile("/var/log/hello/audit.json", audit.DefaultMaxSize)
	if err != nil {
		log.Fatal(err)
	}
	denied, err := audit.New(file, audit.Options{Calls: audit.Denied, Logger: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{
		Handler: server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) { return request, nil }),
		Access:  rules,
		Ended:   denied.Ended,
	}
	err = srv.ListenAndServe("/run/hello/sock")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	log.Fatal(err, denied.Close(ctx))
}
