package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"credrpc/server"

	"go.uber.org/goleak"
)

// patience bounds every wait of a test that is about to fail.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) == "1" {
		if err := inside(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// refusedBy is a call of a user that was refused.
func refusedBy(uid uint32) server.CallRecord {
	return server.CallRecord{
		Peer:    server.NewCredentials(4711, uid, 100),
		Outcome: server.OutcomeRefused,
		Reason:  server.RefusedAccess,
	}
}

// start makes a log that ends with the test.
func start(t *testing.T, sink Sink, o Options) *Log {
	t.Helper()
	l, err := New(sink, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { finish(t, l) })
	return l
}

// finish closes l.
func finish(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

// records parses text, each line of which must be a record.
func records(t *testing.T, text []byte) (all []Record) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		var r Record
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&r); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		all = append(all, r)
	}
	return all
}

// of returns those of records that are of an event.
func of(event string, all []Record) (some []Record) {
	for _, r := range all {
		if r.Event == event {
			some = append(some, r)
		}
	}
	return some
}

// open opens a log file in a directory of the test.
func open(t *testing.T, maxSize int64) (sink Sink, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "audit")
	sink, err := OpenFile(path, maxSize)
	if err != nil {
		t.Fatal(err)
	}
	return sink, path
}

// read reads a log file.
func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// A gate is a writer that lets nothing pass until it is opened.
type gate struct {
	entered chan struct{} // capacity 1: somebody stands before it
	opened  chan struct{}
	bytes.Buffer
}

func newGate() *gate { return &gate{entered: make(chan struct{}, 1), opened: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	select {
	case g.entered <- struct{}{}:
	default:
	}
	<-g.opened
	return g.Buffer.Write(p)
}

// A disk takes so many bytes.
type disk struct {
	mu   sync.Mutex
	text []byte // guarded by mu
	room int    // guarded by mu
}

var errFullDisk = errors.New("no space left on device")

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(p), d.room)
	d.text = append(d.text, p[:n]...)
	if d.room -= n; n < len(p) {
		return n, errFullDisk
	}
	return n, nil
}

func (d *disk) add(room int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room += room
}

// logTo returns a logger that writes to w.
func logTo(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// notes is what a logger has said.
type notes struct {
	mu   sync.Mutex
	text []byte // guarded by mu
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.text = append(n.text, p...)
	return len(p), nil
}

func (n *notes) has(text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bytes.Contains(n.text, []byte(text))
}
