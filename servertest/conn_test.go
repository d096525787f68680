package servertest

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/client"
	"credrpc/server"
)

// TestPieces has the server receive a request in pieces.
func TestPieces(t *testing.T) {
	s := Start(t, &server.Server{Handler: echo})
	whole := Request([]byte("hello"))
	for cut := 1; cut < len(whole); cut++ {
		c := dial(t, s, Self())
		before := s.Config.Stats().BytesIn
		if err := c.WritePieces(whole[:cut], cut); err != nil { // nothing behind the cut
			t.Fatal(err)
		}
		// What is taken off the socket is counted right after.
		eventually(t, func() bool { return s.Config.Stats().BytesIn == before+uint64(cut) })
		c.Write(whole[cut:])
		if got, err := c.Answer(); err != nil || string(got) != "hello" {
			t.Errorf("cut at %d: %q, %v", cut, got, err)
		}
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > Patience {
			t.Fatalf("not within %v", Patience)
		}
	}
}

// TestGarbage sends what is no request, and hangs up.
func TestGarbage(t *testing.T) {
	s := Start(t, &server.Server{Handler: echo})
	rows := []struct {
		name, bytes, want string
	}{
		{"half a request", "\x00\x00\x00\x05hel", "the request is cut short"},
		{"text", "GET / HTTP/1.0\r\n\r\n", "request too large"},
	}
	for _, row := range rows {
		c := dial(t, s, Self())
		io.WriteString(c, row.bytes)
		c.CloseWrite()
		_, err := c.Answer()
		wantRemote(t, row.name, err, row.want)
	}
	c := dial(t, s, Self())
	c.Write(Request(nil)[:1])
	c.Close()
	eventually(t, func() bool { return s.Config.Stats().Refused[server.RefusedTruncated] == 2 })
}

// TestChild sends a request from another process, and from two.
func TestChild(t *testing.T) {
	who := []User{Self()}
	if os.Geteuid() == 0 {
		who = append(who, stranger)
	}
	s := Start(t, &server.Server{Handler: whoami, Mode: 0o666})
	large := Request(make([]byte, server.DefaultMaxRequest))
	for _, u := range who {
		c := dial(t, s, u)
		if err := c.WriteFromChild(large); err != nil {
			t.Fatal(err)
		}
		answer, err := c.Answer()
		got := read(t, answer, err)
		if got.users() != [2]User{u, u} || got.Peer.PID != os.Getpid() || got.Sender.PID == os.Getpid() {
			t.Errorf("%v: %+v", u, got)
		}

		c = dial(t, s, u)
		if err := c.WritePieces(Request([]byte("hello")), 6); err != nil {
			t.Fatal(err)
		}
		c.Answer()
		c = dial(t, s, u)
		c.Write(Request([]byte("hello"))[:6])
		if err := c.WriteFromChild(Request([]byte("hello"))[6:]); err != nil {
			t.Fatal(err)
		}
		_, err = c.Answer()
		wantRemote(t, u.String(), err, "the request came from more than one sender")
	}
}

// TestChildKeepsDeadlines leaves a connection that does not block after a child has
// used it, which needs it to.
func TestChildKeepsDeadlines(t *testing.T) {
	s := Start(t, &server.Server{Handler: echo})
	c := dial(t, s, Self())
	if err := c.WriteFromChild(Request([]byte("hello"))[:6]); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := c.Answer(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestChildFails tells of a child that cannot write.
func TestChildFails(t *testing.T) {
	s := Start(t, &server.Server{Handler: echo})
	c := dial(t, s, Self())
	c.CloseWrite()
	if err := c.WriteFromChild([]byte("x")); err == nil || !strings.Contains(err.Error(), "cat") {
		t.Errorf("got %v", err)
	}
}

// TestOtherSender connects as one user and sends as another.
func TestOtherSender(t *testing.T) {
	NeedRoot(t)
	s := Start(t, &server.Server{Handler: whoami, Mode: 0o666})
	c := dial(t, s, stranger)
	c.WriteAs(User{}, Request(nil))
	_, err := c.Answer()
	wantRemote(t, "a mismatch", err, "the request was sent by another user or group than connected")

	s = Start(t, &server.Server{Handler: whoami, Mode: 0o666, AllowOtherSender: true})
	c = dial(t, s, stranger)
	c.WriteAs(User{}, Request(nil))
	answer, err := c.Answer()
	if got := read(t, answer, err); got.users() != [2]User{{}, stranger} {
		t.Errorf("got %+v", got)
	}
}

// TestDialNobody tells why there is no connection.
func TestDialNobody(t *testing.T) {
	s, err := NewServer(&server.Server{Handler: echo})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(s.Path, Self()); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("got %v", err)
	}
}

// TestAnswerOfOthers reads what is no response.
func TestAnswerOfOthers(t *testing.T) {
	for _, bytes := range []string{"", "\x00", "\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x01ab", "\xff\xff\xff\xff"} {
		answer, err := parse([]byte(bytes))
		if err == nil || isRemote(err) {
			t.Errorf("%q: %q, %v", bytes, answer, err)
		}
	}
	_, err := parse([]byte("\x00\x00\x00\x02no"))
	if remote := new(client.RemoteError); !errors.As(err, &remote) || remote.Text != "no" {
		t.Errorf("got %v", err)
	}
}
