package servertest_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"testing"

	"credrpc/accessdb"
	"credrpc/server"
	"credrpc/servertest"
)

// hello is the handler under test: it greets everybody but uid 13.
func hello(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	if call.Sender.UID() == 13 {
		return nil, errors.New("go away")
	}
	return fmt.Appendf(dst, "hello uid %d, %s", call.Sender.UID(), call.Payload), nil
}

// A test of a handler on a real socket, as the test's own user.
func ExampleStart() {
	_ = func(t *testing.T) { // func TestHello(t *testing.T)
		srv := servertest.Start(t, &server.Server{Handler: server.HandlerFunc(hello)})
		answer, err := srv.Client().Call(t.Context(), []byte("good morning"))
		want := fmt.Sprintf("hello uid %d, good morning", servertest.Self().UID)
		if err != nil || string(answer) != want {
			t.Errorf("got %q, %v, want %q", answer, err, want)
		}
	}
}

// The same without a test, as in an example.
func ExampleNewServer() {
	srv, err := servertest.NewServer(&server.Server{
		Handler: server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) {
			return append(request, " yourself"...), nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	answer, err := srv.Client().Call(context.Background(), []byte("hello"))
	fmt.Printf("%s %v\n", answer, err)
	// Output: hello yourself <nil>
}

// Anybody calls a handler, without a socket and without root.
func ExampleSimulate() {
	config := &server.Server{Handler: server.HandlerFunc(hello)}
	for _, uid := range []uint32{0, 13, 1000} {
		call := servertest.NewCall(servertest.User{UID: uid, GID: 50}, []byte("good morning"))
		answer, err := servertest.Simulate(context.Background(), config, call)
		fmt.Printf("%q %v\n", answer, err)
	}
	// Output:
	// "hello uid 0, good morning" <nil>
	// "" remote error: go away
	// "hello uid 1000, good morning" <nil>
}

// Rules and the handler together: who is let in, and as what.
func ExampleRules() {
	_ = func(t *testing.T) { // func TestWhoMayCall(t *testing.T)
		config := &server.Server{
			Handler: server.HandlerFunc(hello),
			Access:  servertest.Rules(t, accessdb.Rule{Key: "gid/50", Decision: accessdb.Allow}),
		}
		for user, want := range map[servertest.User]string{
			{UID: 1000, GID: 50}:  "",
			{UID: 1000, GID: 100}: "remote error: access denied",
			{UID: 0, GID: 0}:      "remote error: access denied",
		} {
			_, err := servertest.Simulate(t.Context(), config, servertest.NewCall(user, nil))
			if got := fmt.Sprint(err); err != nil && got != want || err == nil && want != "" {
				t.Errorf("%v: got %v, want %q", user, err, want)
			}
		}
	}
}

// Another user calls, as the kernel sees it.
func ExampleServer_Call() {
	_ = func(t *testing.T) { // func TestOthers(t *testing.T)
		servertest.NeedRoot(t)
		srv := servertest.Start(t, &server.Server{Handler: server.HandlerFunc(hello), Mode: 0o666})
		_, err := srv.Call(servertest.User{UID: 13, GID: 13}, nil)
		if err == nil || err.Error() != "remote error: go away" {
			t.Errorf("got %v", err)
		}
	}
}

// Permissions of the socket, as another user meets them.
func ExampleServer_Dial() {
	_ = func(t *testing.T) { // func TestClosedToOthers(t *testing.T)
		servertest.NeedRoot(t)
		srv := servertest.Start(t, &server.Server{Handler: server.HandlerFunc(hello), Mode: 0o600})
		if _, err := srv.Dial(servertest.User{UID: 1000, GID: 1000}); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v", err)
		}
	}
}

// A caller that sends half a request, and then nothing more.
func ExampleConn() {
	srv, err := servertest.NewServer(&server.Server{Handler: server.HandlerFunc(hello)})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	conn, err := srv.Dial(servertest.Self())
	if err != nil {
		log.Fatal(err)
	}
	request := servertest.Request([]byte("good morning"))
	conn.Write(request[:10])
	conn.CloseWrite()
	_, err = conn.Answer()
	fmt.Println(err)
	fmt.Println("answered:", srv.Config.Stats().Answered)
	// Output:
	// remote error: the request is cut short
	// answered: 0
}

// A request that arrives in pieces, the header's included.
func ExampleConn_WritePieces() {
	srv, err := servertest.NewServer(&server.Server{
		Handler: server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) { return request, nil }),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	conn, err := srv.Dial(servertest.Self())
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.WritePieces(servertest.Request([]byte("good morning")), 1, 3, 10); err != nil {
		log.Fatal(err)
	}
	answer, err := conn.Answer()
	fmt.Printf("%s %v\n", answer, err)
	// Output: good morning <nil>
}

// Whatever a thread does itself is done as another user.
func ExampleAs() {
	_ = func(t *testing.T) { // func TestCannotWrite(t *testing.T)
		servertest.NeedRoot(t)
		srv := servertest.Start(t, &server.Server{Handler: server.HandlerFunc(hello), Mode: 0o666})
		err := servertest.As(servertest.User{UID: 1000, GID: 1000}, func() error {
			_, err := srv.Client().Call(t.Context(), []byte("one write sends this"))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
