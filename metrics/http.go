package metrics

import (
	"io"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of [NewServer]. A scrape takes milliseconds; nobody tuned them.
const (
	// MaxConnections is how many connections the listener should let in at once; see
	// golang.org/x/net/netutil.
	MaxConnections = 16

	maxRequests = 4 // that are answered at once
	timeout     = 10 * time.Second
	maxHeader   = 8 << 10 // bytes
)

// NewHandler returns a handler of GET requests for /metrics, and of nothing else. It tells
// what [NewCollector] does, and what the Go runtime and the process are like.
func NewHandler(s Sources) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxRequests,
		Timeout:             timeout,
	}))
	return mux
}

// NewServer returns a server of [NewHandler] with deadlines. What callers do wrong is not
// logged.
func NewServer(s Sources) *http.Server {
	return &http.Server{
		Handler:        NewHandler(s),
		ReadTimeout:    timeout,
		WriteTimeout:   2 * timeout,
		IdleTimeout:    6 * timeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       log.New(io.Discard, "", 0),
	}
}
