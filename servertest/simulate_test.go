package servertest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"credrpc/accessdb"
	"credrpc/server"
)

// TestSimulateEqualsServer compares what callers are told with what a server tells
// them.
func TestSimulateEqualsServer(t *testing.T) {
	fails := func(text string) server.Handler {
		return server.HandlerFunc(func(context.Context, []byte, *server.Call) ([]byte, error) { return nil, errors.New(text) })
	}
	allow := Rules(t, accessdb.Rule{Key: "uid/self", Decision: accessdb.Allow})
	deny := Rules(t, accessdb.Rule{Key: "uid/self", Decision: accessdb.Deny})
	closed := Rules(t)
	closed.Close()
	rows := []struct {
		name    string
		config  func() *server.Server
		payload []byte
	}{
		{"an answer", func() *server.Server { return &server.Server{Handler: echo} }, []byte("hello")},
		{"an empty answer", func() *server.Server { return &server.Server{Handler: echo} }, nil},
		{"an error", func() *server.Server { return &server.Server{Handler: fails("no")} }, nil},
		{"an empty error", func() *server.Server { return &server.Server{Handler: fails("")} }, nil},
		{"a long error", func() *server.Server { return &server.Server{Handler: fails(strings.Repeat("x", 5000))} }, nil},
		{"rules that allow", func() *server.Server { return &server.Server{Handler: echo, Access: allow} }, nil},
		{"rules that deny", func() *server.Server { return &server.Server{Handler: echo, Access: deny} }, nil},
		{"rules that fail", func() *server.Server { return &server.Server{Handler: echo, Access: closed} }, nil},
		{"a request at the limit", func() *server.Server { return &server.Server{Handler: echo, MaxRequest: 5} }, []byte("hello")},
		{"a request over it", func() *server.Server { return &server.Server{Handler: echo, MaxRequest: 5} }, []byte("hello!")},
		{"an answer at the limit", func() *server.Server { return &server.Server{Handler: echo, MaxResponse: 5} }, []byte("hello")},
		{"an answer over it", func() *server.Server { return &server.Server{Handler: echo, MaxResponse: 5} }, []byte("hello!")},
		{"a handler that is late", func() *server.Server {
			return &server.Server{CallTimeout: 5 * time.Millisecond, Handler: server.HandlerFunc(func(ctx context.Context, _ []byte, _ *server.Call) ([]byte, error) {
				<-ctx.Done()
				return nil, nil
			})}
		}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var told, heard []server.AccessDecision
			config, running := row.config(), row.config()
			if config.Access != nil {
				config.Audit = func(d server.AccessDecision) { told = append(told, d) }
				running.Audit = func(d server.AccessDecision) { heard = append(heard, d) }
			}
			got, err := Simulate(t.Context(), config, NewCall(Self(), row.payload))
			want, wantErr := Start(t, running).Client().Call(t.Context(), row.payload)
			if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
				t.Errorf("got %q, %v, a server answers %q, %v", got, err, want, wantErr)
			}
			if err != nil && err.Error() != wantErr.Error() {
				t.Errorf("got %v, a server says %v", err, wantErr)
			}
			if err := running.Shutdown(t.Context()); err != nil { // Audit is not called any more
				t.Fatal(err)
			}
			if len(told) != len(heard) || len(told) == 1 && (told[0].Result != heard[0].Result || told[0].Peer != heard[0].Peer) {
				t.Errorf("Audit is told %+v, by a server %+v", told, heard)
			}
		})
	}
}

// TestSimulateOtherSender compares too, where it takes two users.
func TestSimulateOtherSender(t *testing.T) {
	call := NewCall(stranger, nil)
	call.Sender = server.NewCredentials(1, 0, 0)
	_, err := Simulate(t.Context(), &server.Server{Handler: whoami}, call)
	wantRemote(t, "a mismatch", err, senderMismatchText) // TestOtherSender
	answer, err := Simulate(t.Context(), &server.Server{Handler: whoami, AllowOtherSender: true}, call)
	if got := read(t, answer, err); got.users() != [2]User{{}, stranger} {
		t.Errorf("got %+v", got)
	}
	for _, call := range []*server.Call{{}, {Peer: call.Peer}, {Sender: call.Sender}, NewCall(User{server.NoID, 1}, nil)} {
		_, err := Simulate(t.Context(), &server.Server{Handler: whoami, AllowOtherSender: true}, call)
		wantRemote(t, "without credentials", err, noCredentialsText)
	}
}

// TestSimulateRules asks the rules about anybody, and tells the handler which decided.
func TestSimulateRules(t *testing.T) {
	config := &server.Server{
		Access: Rules(t,
			accessdb.Rule{Key: "uid/1000", Decision: accessdb.Deny},
			accessdb.Rule{Key: "gid/50", Decision: accessdb.Allow}),
		Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
			return append(dst, call.Access.Key.String()...), nil
		}),
	}
	for u, want := range map[User]string{{1001, 50}: "gid/50", {1000, 50}: "", {1001, 51}: "", {0, 0}: ""} {
		got, err := Simulate(t.Context(), config, NewCall(u, nil))
		if want == "" {
			wantRemote(t, u.String(), err, accessText)
		} else if err != nil || string(got) != want {
			t.Errorf("%v: %q, %v", u, got, err)
		}
	}
	invented := NewCall(stranger, nil)
	invented.Access = accessdb.Result{Key: accessdb.Key{Kind: accessdb.KeyUID, ID: 7}}
	if got, err := Simulate(t.Context(), &server.Server{Handler: config.Handler}, invented); err != nil || string(got) != "uid/7" {
		t.Errorf("an invented decision: %q, %v", got, err)
	}
}

// TestSimulateFindsKeepers overwrites what handlers may not keep or read.
func TestSimulateFindsKeepers(t *testing.T) {
	var kept [][]byte
	var keptCall *server.Call
	var keptContext context.Context
	payload := []byte("hello")
	got, err := Simulate(t.Context(), &server.Server{Handler: server.HandlerFunc(func(ctx context.Context, dst []byte, call *server.Call) ([]byte, error) {
		dst = append(dst, "an answer"...)
		kept = [][]byte{call.Payload, dst}
		keptCall, keptContext = call, ctx
		if call.Payload[:6][5] != foreign || dst[:cap(dst)][len(dst)] != foreign {
			t.Error("there is nothing foreign behind")
		}
		call.Payload[0] = 'j'
		return dst, nil
	})}, NewCall(stranger, payload))
	if err != nil || string(got) != "an answer" || string(payload) != "hello" {
		t.Errorf("%q, %v, payload %q", got, err, payload)
	}
	for _, b := range kept {
		if len(bytes.Trim(b, string([]byte{foreign}))) != 0 {
			t.Errorf("kept: %q", b)
		}
	}
	if keptCall.Payload != nil || keptCall.Sender.Valid() || keptContext.Err() == nil {
		t.Errorf("kept: %+v, %v", keptCall, keptContext.Err())
	}
}

// TestSimulateHangsUp is a caller who does not wait for the answer.
func TestSimulateHangsUp(t *testing.T) {
	ctx, hangUp := context.WithCancel(t.Context())
	_, err := Simulate(ctx, &server.Server{Handler: server.HandlerFunc(func(ctx context.Context, _ []byte, _ *server.Call) ([]byte, error) {
		hangUp()
		<-ctx.Done()
		return nil, ctx.Err()
	})}, NewCall(stranger, nil))
	if err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if _, err := Simulate(t.Context(), &server.Server{}, NewCall(stranger, nil)); err != server.ErrNoHandler {
		t.Errorf("without a handler: %v", err)
	}
}

// TestSimulateTouchesNoServer leaves one that runs as it is.
func TestSimulateTouchesNoServer(t *testing.T) {
	s := Start(t, &server.Server{Handler: whoami})
	if _, err := Simulate(t.Context(), s.Config, NewCall(User{}, nil)); err != nil {
		t.Error(err)
	}
	if stats := s.Config.Stats(); stats.Accepted != 0 {
		t.Errorf("%+v", stats)
	}
}

// TestRules refuses what no file can have.
func TestRules(t *testing.T) {
	for _, rule := range []accessdb.Rule{{Key: "uid/1000"}, {Key: "", Decision: accessdb.Allow}} {
		if err := writeRules(t.TempDir()+"/rules", []accessdb.Rule{rule}); err == nil {
			t.Errorf("%+v is taken", rule)
		}
	}
}
