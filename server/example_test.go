package server_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"credrpc/accessdb"
	"credrpc/client"
	"credrpc/server"
	"credrpc/servertest"

	"golang.org/x/sys/unix"
)

func hello(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
	return fmt.Appendf(dst, "hello uid %d", call.Sender.UID()), nil
}

// The ten-line service of the README.
func Example() {
	srv := &server.Server{Mode: 0o666, Handler: server.HandlerFunc(hello)}
	log.Fatal(srv.ListenAndServe("/run/hello.sock"))
}

// A program that answers what is in flight before it ends.
func ExampleServer_Shutdown() {
	srv := &server.Server{Handler: server.HandlerFunc(hello)}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	ended := make(chan error)
	go func() {
		<-stop.Done()
		ended <- srv.Shutdown(context.Background())
	}()
	if err := srv.ListenAndServe("/run/hello.sock"); !errors.Is(err, server.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-ended; err != nil { // Serve returns before Shutdown does
		log.Fatal(err)
	}
}

// Anything that is asked and answered in bytes.
func ExamplePlain() {
	srv := &server.Server{Handler: server.Plain(func(request []byte, sender server.Credentials) ([]byte, error) {
		if sender.UID() != 0 {
			return nil, errors.New("for root only")
		}
		return []byte(strings.ToUpper(string(request))), nil
	})}
	log.Fatal(srv.ListenAndServe("/run/upper.sock"))
}

// A server from its start to its end, and a call.
func ExampleServer_ListenAndServe() {
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hello.sock")

	ready := make(chan struct{})
	srv := &server.Server{
		Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
			return fmt.Appendf(dst, "hello, %s", call.Payload), nil
		}),
		Ready: func() { close(ready) },
	}
	served := make(chan error)
	go func() { served <- srv.ListenAndServe(path) }()
	<-ready

	c := client.Client{Path: path}
	answer, err := c.Call(context.Background(), []byte("it is me"))
	fmt.Printf("%s %v\n", answer, err)

	fmt.Println(srv.Shutdown(context.Background()))
	fmt.Println(<-served)
	// Output:
	// hello, it is me <nil>
	// <nil>
	// server: closed
}

// A listener that somebody else has made, who sets SO_PASSCRED before callers can
// connect. One that was inherited as descriptor 3 comes from
// net.FileListener(os.NewFile(3, "listener")).
func ExampleServer_Serve() {
	passCredentials := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		return errors.Join(controlErr, err)
	}}
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hello.sock")
	listener, err := passCredentials.Listen(context.Background(), "unix", path)
	if err != nil {
		log.Fatal(err)
	}

	srv := &server.Server{Handler: server.HandlerFunc(hello)}
	served := make(chan error)
	go func() { served <- srv.Serve(listener) }()

	c := client.Client{Path: path}
	_, err = c.Call(context.Background(), nil)
	fmt.Println("call:", err)
	srv.Close()
	fmt.Println(<-served)
	// Output:
	// call: <nil>
	// server: closed
}

// Rules decide who may call, by the user and group that the kernel names.
func ExampleServer_access() {
	rules, err := accessdb.Open("/etc/hello/rules.cdb", accessdb.Options{Logger: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	defer rules.Close()
	srv := &server.Server{
		Mode:    0o666, // the rules decide, not the socket's permissions
		Handler: server.HandlerFunc(hello),
		Access:  rules,
	}
	log.Fatal(srv.ListenAndServe("/run/hello.sock"))
}

// staff lets in group 50 and nobody else, not even root.
type staff struct{}

func (staff) Check(_, gid uint32) (accessdb.Result, error) {
	if gid != 50 {
		return accessdb.Result{}, nil // zero values deny
	}
	return accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyGID, ID: gid}}, nil
}

// Rules may come from elsewhere than files. Package servertest has the callers.
func ExampleAccessChecker() {
	srv := &server.Server{
		Access: staff{},
		Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
			return fmt.Appendf(dst, "welcome by %s", call.Access.Key), nil
		}),
	}
	for _, gid := range []uint32{50, 100} {
		call := servertest.NewCall(servertest.User{UID: 1000, GID: gid}, nil)
		answer, err := servertest.Simulate(context.Background(), srv, call)
		fmt.Printf("%q %v\n", answer, err)
	}
	// Output:
	// "welcome by gid/50" <nil>
	// "" remote error: access denied
}

// Every decision about a caller goes to an audit log, which may not block.
func ExampleAccessDecision() {
	srv := &server.Server{
		Access:  staff{},
		Handler: server.HandlerFunc(hello),
		Audit: func(d server.AccessDecision) {
			fmt.Println("uid", d.Peer.UID(), "gid", d.Peer.GID(), "allowed:", d.Allowed(), "by:", d.Result.Key, "error:", d.Err)
		},
	}
	for _, gid := range []uint32{50, 100} {
		servertest.Simulate(context.Background(), srv, servertest.NewCall(servertest.User{UID: 1000, GID: gid}, nil))
	}
	// Output:
	// uid 1000 gid 50 allowed: true by: gid/50 error: <nil>
	// uid 1000 gid 100 allowed: false by:  error: <nil>
}

// No user can have more than a hundred calls a second, twenty of them at once, nor more
// than ten in flight.
func ExampleServer_limits() {
	srv := &server.Server{
		Mode:           0o666,
		Handler:        server.HandlerFunc(hello),
		MaxCallsPerUID: 10,
		RatePerUID:     100,
		BurstPerUID:    20,
		MaxRequest:     4 << 10,
		CallTimeout:    time.Second,
	}
	log.Fatal(srv.ListenAndServe("/run/hello.sock"))
}

// A new server goes on where the running one stops, and no caller notices.
func ExampleServer_takeover() {
	dir, err := os.MkdirTemp("", "credrpc")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hello.sock")
	start := func(version string) (srv *server.Server, served chan error) {
		ready := make(chan struct{})
		srv = &server.Server{
			Takeover: true,
			Ready:    func() { close(ready) },
			Handler: server.Plain(func([]byte, server.Credentials) ([]byte, error) {
				return []byte("version " + version), nil
			}),
		}
		served = make(chan error, 1)
		go func() { served <- srv.ListenAndServe(path) }()
		<-ready
		return srv, served
	}

	c := client.Client{Path: path}
	_, first := start("1")
	answer, _ := c.Call(context.Background(), nil)
	fmt.Printf("%s\n", answer)
	second, served := start("2")
	fmt.Println("the first one:", <-first)
	answer, _ = c.Call(context.Background(), nil)
	fmt.Printf("%s\n", answer)
	second.Close()
	<-served
	// Output:
	// version 1
	// the first one: server: another one has taken the socket over
	// version 2
}

// What a server has done so far.
func ExampleServer_Stats() {
	srv, err := servertest.NewServer(&server.Server{
		MaxRequest: 100,
		Handler: server.Plain(func(request []byte, _ server.Credentials) ([]byte, error) {
			if len(request) == 0 {
				return nil, errors.New("nothing to do")
			}
			return request, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, size := range []int{1, 10, 0, 101} {
		srv.Client().Call(context.Background(), make([]byte, size))
	}
	srv.Close() // so that all is counted
	stats := srv.Config.Stats()
	fmt.Println("accepted", stats.Accepted, "answered", stats.Answered, "failed", stats.Failed)
	fmt.Println("refused", stats.Refused)
	// Output:
	// accepted 4 answered 2 failed 1
	// refused map[too_large:1]
}

// A handler of values that marshal themselves, and a client of them.
func ExampleTyped() {
	srv, err := servertest.NewServer(&server.Server{
		Handler: server.Typed(func(_ context.Context, _ *server.Call, t *time.Time) (time.Time, error) {
			return t.Add(24 * time.Hour), nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	var tomorrow time.Time
	today := time.Date(2000, time.February, 28, 12, 0, 0, 0, time.UTC)
	err = srv.Client().CallBinary(context.Background(), today, &tomorrow)
	fmt.Println(tomorrow, err)
	// Output: 2000-02-29 12:00:00 +0000 UTC <nil>
}

// Fields that make no sense are found before anything is touched.
func ExampleConfigError() {
	srv := &server.Server{Handler: server.HandlerFunc(hello), BurstPerUID: 5}
	err := srv.ListenAndServe("/run/hello.sock")
	var config *server.ConfigError
	if errors.As(err, &config) {
		fmt.Println(config.Field)
	}
	fmt.Println(err)
	// Output:
	// BurstPerUID
	// server: BurstPerUID: is set, but RatePerUID, of which it is a part, is 0
}

// Only a listener of UNIX sockets can say who is calling.
func ExampleListenerError() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: server.HandlerFunc(hello)}
	err = srv.Serve(listener)
	var wrong *server.ListenerError
	if errors.As(err, &wrong) {
		fmt.Println(wrong.Reason)
	}
	// Output: is a *net.TCPListener; need a *net.UnixListener
}

// Credentials cannot be mistaken: those that are missing are nobody's, not root's.
func ExampleCredentials() {
	for _, c := range []server.Credentials{{}, server.NewCredentials(4711, 0, 0)} {
		fmt.Println(c, c.Valid(), c.UID() == 0, c.UID() == server.NoID)
	}
	// Output:
	// invalid false false true
	// pid=4711 uid=0 gid=0 true true false
}
