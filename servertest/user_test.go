package servertest

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"credrpc/server"
)

// TestUsers has the kernel name the users who are acted as.
func TestUsers(t *testing.T) {
	NeedRoot(t)
	s := Start(t, &server.Server{Handler: whoami, Mode: 0o666})
	for _, u := range []User{stranger, {1, 0}, {0, 1}, {}, Self()} {
		answer, err := s.Call(u, nil)
		if got := read(t, answer, err); got.users() != [2]User{u, u} || got.Sender.PID != os.Getpid() {
			t.Errorf("as %v: %+v", u, got)
		}
	}
}

// TestLargeRequestOfOther sends what does not fit the socket's buffer all as one user.
func TestLargeRequestOfOther(t *testing.T) {
	NeedRoot(t)
	s := Start(t, &server.Server{Handler: echo, Mode: 0o666})
	payload := make([]byte, server.DefaultMaxRequest)
	if got, err := s.Call(stranger, payload); err != nil || len(got) != len(payload) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	_, err := s.Call(stranger, append(payload, 0))
	wantRemote(t, "one byte too many", err, "request too large")
}

// TestOnlyOneThread leaves the rest of the process what it was, and makes the one
// thread the user for good, whose groups and capabilities are gone.
func TestOnlyOneThread(t *testing.T) {
	NeedRoot(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := As(stranger, func() error {
		runtime.Gosched() // which may not move this to another thread
		status, err := os.ReadFile("/proc/thread-self/status")
		if err != nil {
			return err
		}
		for _, want := range []string{
			"Uid:\t54321\t54321\t54321\t54321\n", "Gid:\t54322\t54322\t54322\t54322\n",
			"Groups:\t \n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n",
		} {
			if !strings.Contains(string(status), want) {
				t.Errorf("no line %q in %s", want, status)
			}
		}
		if id, err := exec.Command("id", "-u").Output(); err != nil || string(id) != "54321\n" {
			t.Errorf("a process that is started: %q, %v", id, err)
		}
		if uids := uidsOfThreads(t); uids["0\t0\t0\t0"] == 0 {
			t.Errorf("uids of threads meanwhile: %v", uids)
		}
		if _, err := os.ReadFile(secret); !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("root's file: %v", err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// Threads end a moment after what they have done.
	eventually(t, func() bool { return len(uidsOfThreads(t)) == 1 })
	if _, err := os.ReadFile(secret); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestNotTheMainThread never makes that one somebody else, since it would stay so.
func TestNotTheMainThread(t *testing.T) {
	NeedRoot(t)
	for range 50 { // the main thread is one of few
		var tasks sync.WaitGroup
		for range 4 {
			tasks.Go(func() {
				if err := As(stranger, func() error { runtime.Gosched(); return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		tasks.Wait()
	}
	eventually(t, func() bool { return len(uidsOfThreads(t)) == 1 })
}

// uidsOfThreads counts the threads by their real, effective, saved and file system uid.
func uidsOfThreads(t *testing.T) map[string]int {
	t.Helper()
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	uids := make(map[string]int)
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(status), "Uid:\t")
		ids, _, _ := strings.Cut(after, "\n")
		uids[ids]++
	}
	return uids
}

// TestPermissions keeps others out of a socket whose mode does.
func TestPermissions(t *testing.T) {
	NeedRoot(t)
	s := Start(t, &server.Server{Handler: echo})
	if _, err := s.Dial(stranger); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
	group := stranger.GID
	s = Start(t, &server.Server{Handler: echo, Mode: 0o660, Group: &group})
	if _, err := s.Call(stranger, nil); err != nil {
		t.Errorf("by its group: %v", err)
	}
}

// TestCannotBe tells who cannot be acted as.
func TestCannotBe(t *testing.T) {
	for _, u := range []User{{server.NoID, 1}, {1, server.NoID}} {
		err := As(u, func() error { t.Errorf("acted as %v", u); return nil })
		if !errors.Is(err, ErrInvalidUser) {
			t.Errorf("%v: %v", u, err)
		}
	}
	if got := As(Self(), func() error { return net.ErrClosed }); got != net.ErrClosed {
		t.Errorf("the error became %v", got)
	}
}

// TestNotRoot is for whoever is not root, as a test that has become somebody else is.
func TestNotRoot(t *testing.T) {
	NeedRoot(t)
	err := As(stranger, func() error {
		if Self() != stranger {
			return fmt.Errorf("it is %v", Self())
		}
		if err := As(stranger, func() error { return net.ErrClosed }); err != net.ErrClosed {
			t.Errorf("as oneself: %v", err)
		}
		r := &recorder{TB: t}
		t.Setenv(RootVariable, "")
		if NeedRoot(r); r.skipped == "" || r.failed != "" {
			t.Errorf("NeedRoot: %+v", r)
		}
		r = &recorder{TB: t}
		t.Setenv(RootVariable, "required")
		if NeedRoot(r); r.skipped != "" || !strings.Contains(r.failed, RootVariable) {
			t.Errorf("NeedRoot, required: %+v", r)
		}
		return As(User{1, 1}, func() error { return errors.New("acted as another user") })
	})
	if !errors.Is(err, ErrNotRoot) || !strings.HasSuffix(err.Error(), "this is uid 54321 gid 54322, not uid 1 gid 1") {
		t.Errorf("got %v", err)
	}
}

// TestGoexit does not wait for ever.
func TestGoexit(t *testing.T) {
	NeedRoot(t)
	if err := As(stranger, func() error { runtime.Goexit(); return nil }); err != ErrExited {
		t.Errorf("got %v", err)
	}
}
