package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"credrpc/server"
)

// TestRefusalsAreBounded has users without number refused: they fill no journal, and what
// is missing is counted.
func TestRefusalsAreBounded(t *testing.T) {
	var text strings.Builder
	log, err := logRefusals(&text, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	const strangers = 100000
	begin := time.Now()
	for uid := range uint32(strangers) {
		log.Ended(server.CallRecord{Peer: server.NewCredentials(8, 100000+uid, 100000), Outcome: server.OutcomeRefused, Reason: server.RefusedAccess})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := log.Close(ctx); err != nil {
		t.Fatal(err)
	}
	most := 100 * (2 + int(time.Since(begin)/time.Second)) // the burst and each begun second
	lines, dropped := strings.Count(text.String(), "\n"), log.Stats().Dropped()
	if lines > most || lines < 100 || int(dropped)+lines < strangers {
		t.Errorf("%d lines, want at most %d; %d are counted as missing", lines, most, dropped)
	}
}
