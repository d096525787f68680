package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"credrpc/client"
	"credrpc/server"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stranger is a user that this machine has given nothing.
var stranger = User{54321, 54322}

// whoami answers who called, as identities.
var whoami = server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	b, err := json.Marshal(map[string]server.Credentials{"sender": call.Sender, "peer": call.Peer})
	return append(dst, b...), err
})

// echo answers the request.
var echo = server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	return append(dst, call.Payload...), nil
})

// identities is what whoami says.
type identities struct {
	Sender, Peer struct {
		PID      int
		UID, GID uint32
	}
}

// users are who sent and who connected.
func (i identities) users() [2]User {
	return [2]User{{i.Sender.UID, i.Sender.GID}, {i.Peer.UID, i.Peer.GID}}
}

// read reads an answer of whoami.
func read(t *testing.T, answer []byte, err error) (i identities) {
	t.Helper()
	if err == nil {
		err = json.Unmarshal(answer, &i)
	}
	if err != nil {
		t.Fatalf("%q, %v", answer, err)
	}
	return i
}

// wantRemote fails the test unless err is the server's and has this text.
func wantRemote(t *testing.T, what string, err error, text string) {
	t.Helper()
	var remote *client.RemoteError
	if !errors.As(err, &remote) || remote.Text != text {
		t.Errorf("%s: got %v, want %q", what, err, text)
	}
}

// dial connects to s.
func dial(t *testing.T, s *Server, u User) *Conn {
	t.Helper()
	c, err := s.Dial(u)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
