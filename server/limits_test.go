package server

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"credrpc/frame"
)

// TestConfig checks that fields that make no sense are named.
func TestConfig(t *testing.T) {
	for field, srv := range map[string]*Server{
		"Loops":          {Handler: echo, Loops: -1},
		"Mode":           {Handler: echo, Mode: 0o4755},
		"MaxRequest":     {Handler: echo, MaxRequest: frame.MaxPayload + 1},
		"MaxResponse":    {Handler: echo, MaxResponse: frame.MaxPayload + 1},
		"MaxCalls":       {Handler: echo, MaxCalls: -1},
		"MaxCallsPerUID": {Handler: echo, MaxCallsPerUID: -1},
		"RatePerUID":     {Handler: echo, RatePerUID: -1},
		"BurstPerUID":    {Handler: echo, RatePerUID: 1, BurstPerUID: -1},
		"RequestTimeout": {Handler: echo, RequestTimeout: -1},
		"CallTimeout":    {Handler: echo, CallTimeout: -1},
	} {
		var config *ConfigError
		if err := srv.ListenAndServe(socketPath(t)); !errors.As(err, &config) || config.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := new(Server).ListenAndServe(socketPath(t)); !errors.Is(err, ErrNoHandler) {
		t.Errorf("no handler: %v", err)
	}
}

// TestTooLarge checks the limit of requests to the byte, and that a caller that
// goes on sending what is refused reads why.
func TestTooLarge(t *testing.T) {
	srv := &Server{Handler: echo, MaxRequest: 1000}
	path := start(t, srv)
	if got, err := call(t, path, make([]byte, 1000)); err != nil || len(got) != 1000 {
		t.Errorf("as large as can be: %d bytes, %v", len(got), err)
	}
	for _, size := range []int{1001, 8 << 20} {
		c := dial(t, path)
		if n, err := c.Write(request(make([]byte, size))); err != nil {
			t.Errorf("%d bytes: after %d: %v", size, n, err)
		}
		if _, err := response(c); err != remoteError(RefusedTooLarge.text()) {
			t.Errorf("%d bytes: %v", size, err)
		}
		c.Close()
	}
	if n := srv.Stats().Refused[RefusedTooLarge]; n != 2 {
		t.Errorf("%d refused", n)
	}
}

// TestMaxCalls checks that callers over either limit are told, and that a place
// that becomes free is given away.
func TestMaxCalls(t *testing.T) {
	for _, tt := range []struct {
		name   string
		srv    *Server
		reason Reason
	}{
		{"for one user", &Server{MaxCalls: 10, MaxCallsPerUID: 3}, RefusedOverloadUID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leave := make(chan struct{})
			srv := tt.srv
			srv.Handler = HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
				if string(call.Payload) == "stay" {
					<-leave
				}
				return dst, nil
			})
			path := start(t, srv)
			probeGone(t, srv)
			var inside []net.Conn
			for range 3 {
				c := dial(t, path)
				c.Write(request([]byte("stay")))
				inside = append(inside, c)
			}
			eventually(t, "three are in flight", func() bool { return srv.Stats().InFlight == 3 })
			for range 5 {
				if _, err := call(t, path, []byte("one more")); err != remoteError(tt.reason.text()) {
					t.Errorf("one more: %v", err)
				}
			}
			close(leave)
			for _, c := range inside {
				if _, err := response(c); err != nil {
					t.Error(err)
				}
			}
			eventually(t, "places are free", func() bool { return srv.Stats().InFlight == 0 })
			if _, err := call(t, path, nil); err != nil {
				t.Errorf("afterwards: %v", err)
			}
			if n := srv.Stats().Refused[tt.reason]; n != 5 {
				t.Errorf("%d refused", n)
			}
		})
	}
}

// TestRequestTimeout checks that a request that does not get whole is refused,
// however many bytes of it came.
func TestRequestTimeout(t *testing.T) {
	srv := &Server{Handler: echo, RequestTimeout: 50 * time.Millisecond}
	path := start(t, srv)
	for sent := range 6 {
		c := dial(t, path)
		c.Write(request([]byte("ab"))[:min(sent, 5)])
		if _, err := response(c); err != remoteError(RefusedTimeout.text()) {
			t.Errorf("%d bytes sent: %v", sent, err)
		}
	}
	if n := srv.Stats().Refused[RefusedTimeout]; n != 6 {
		t.Errorf("%d refused", n)
	}
}

// TestSlowSender checks that bytes that trickle in do not extend the time for
// the request.
func TestSlowSender(t *testing.T) {
	path := start(t, &Server{Handler: echo, RequestTimeout: 100 * time.Millisecond})
	c := dial(t, path)
	go func() {
		for _, b := range request(make([]byte, 10000)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if _, err := response(c); err != remoteError(RefusedTimeout.text()) {
		t.Error(err)
	}
}

// TestTruncated checks callers that stop within the request.
func TestTruncated(t *testing.T) {
	srv := &Server{Handler: echo}
	path := start(t, srv)
	c := dial(t, path)
	c.Write(request([]byte("abc"))[:5])
	c.CloseWrite()
	if _, err := response(c); err != remoteError(RefusedTruncated.text()) {
		t.Error(err)
	}
	c = dial(t, path)
	c.CloseWrite()
	if got, err := io.ReadAll(c); err != nil || len(got) != 0 {
		t.Errorf("an empty connection: %q, %v", got, err)
	}
}

// TestNeverReading checks that a caller that does not read its answer is given
// up at the deadline, and others are served meanwhile.
func TestNeverReading(t *testing.T) {
	srv := &Server{CallTimeout: 100 * time.Millisecond, MaxResponse: 16 << 20,
		Handler: HandlerFunc(func(_ context.Context, dst []byte, call *Call) ([]byte, error) {
			if string(call.Payload) == "large" {
				return append(dst, make([]byte, 4<<20)...), nil
			}
			return dst, nil
		})}
	path := start(t, srv)
	for range 10 {
		c := dial(t, path)
		c.Write(request([]byte("large")))
	}
	if _, err := call(t, path, nil); err != nil {
		t.Error(err)
	}
	eventually(t, "they are given up", func() bool { s := srv.Stats(); return s.Dropped+s.Timeouts == 10 })
}

func TestReasonString(t *testing.T) {
	seen := make(map[string]bool)
	for r := range reasons {
		name, text := Reason(r).String(), Reason(r).text()
		if name == "" || text == "" || seen[name] || len(text) > 100 {
			t.Errorf("reason %d: %q, %q", r, name, text)
		}
		seen[name] = true
	}
	if got := Reason(200).String(); got != "Reason(200)" {
		t.Error(got)
	}
}
