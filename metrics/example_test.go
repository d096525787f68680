package metrics_test

import (
	"log"
	"net"

	"credrpc/metrics"
	"credrpc/server"

	"golang.org/x/net/netutil"
)

// Metrics are served on a loopback address, beside the calls.
func Example() {
	srv := &server.Server{
		Handler:        server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) { return request, nil }),
		MeasureLatency: true,
	}
	l, err := net.Listen("tcp", "127.0.0.1:9436")
	if err != nil {
		log.Fatal(err)
	}
	exporter := metrics.NewServer(metrics.Sources{Server: srv})
	go exporter.Serve(netutil.LimitListener(l, metrics.MaxConnections))
	log.Fatal(srv.ListenAndServe("/run/hello/sock"))
}
