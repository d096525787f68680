package metrics

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"credrpc/server"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// BenchmarkScrape is what one request for the metrics costs, and its parts.
func BenchmarkScrape(b *testing.B) {
	srv := &server.Server{MeasureLatency: true, Handler: server.HandlerFunc(func(_ context.Context, dst []byte, _ *server.Call) ([]byte, error) {
		return dst, nil
	})}
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(filepath.Join(b.TempDir(), "s")) }()
	defer func() { srv.Close(); <-served }()
	handler := NewHandler(Sources{Server: srv})
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run("encoding="+encoding, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header.Set("Accept-Encoding", encoding)
				answer := httptest.NewRecorder()
				handler.ServeHTTP(answer, r)
				if answer.Code != http.StatusOK {
					b.Fatal(answer.Code)
				}
			}
		})
	}
	for name, collector := range map[string]prometheus.Collector{
		"server":  NewCollector(Sources{Server: srv}),
		"go":      collectors.NewGoCollector(),
		"process": collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(collector)
		b.Run("gather="+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := registry.Gather(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
