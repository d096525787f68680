package ipcserver

import (
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestChildren has 2,000 callers that hang up when they like, while programs are
// killed at random. After that nothing is left of them, and each that had a program
// was reaped once.
func TestChildren(t *testing.T) {
	const callers, each, held = 16, 125, 10
	s := running(t, []string{"-v", "-c20", "-C20"}, "/bin/cat")
	exchange(t, s.dial())
	for _, p := range s.programs() {
		p.signal(unix.SIGKILL)
		p.close()
	}
	s.quiet()
	before := s.descriptors()

	var killed atomic.Int64
	stop := make(chan struct{})
	var killer, calling sync.WaitGroup
	killer.Go(func() {
		random := rand.New(rand.NewPCG(1, 2))
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			for _, p := range s.programs() {
				if random.IntN(2) == 0 && p.signal(unix.SIGKILL) {
					killed.Add(1)
				}
				p.close()
			}
		}
	})
	for caller := range callers {
		calling.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(caller)))
			for range each {
				c, err := dialAs(s.path, nil)
				if err != nil {
					<-s.ended
					text := s.stderr.String()
					t.Errorf("%v: server %v: %q", err, s.cmd.ProcessState, text[max(0, len(text)-3000):])
					return
				}
				c.SetDeadline(time.Now().Add(patience))
				switch random.IntN(4) {
				case 0: // hangs up
				case 1:
					io.WriteString(c, "not read\n")
				case 2:
					io.WriteString(c, "line\n")
					io.ReadFull(c, make([]byte, 5))
				case 3:
					io.WriteString(c, "line\n")
					c.CloseWrite()
					io.ReadAll(c)
				}
				c.Close()
			}
		})
	}
	calling.Wait()
	// However busy the machine, some programs were there to be killed.
	var last []io.Closer
	for range held {
		c, err := dialAs(s.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		last = append(last, c)
	}
	eventually(t, "programs are killed", func() bool { return killed.Load() >= held })
	close(stop)
	for _, c := range last {
		c.Close()
	}
	killer.Wait()
	eventually(t, "every connection got its program", func() bool {
		return strings.Count(s.stderr.String(), "info: allow") == callers*each+held+1
	})
	s.quiet()
	s.noMoreOpen(before)
	s.terminate()
	text := s.stderr.String()
	if got := strings.Count(text, "info: end"); got != callers*each+held+1 {
		t.Errorf("%d connections ended", got)
	}
	if !strings.Contains(text, "signal 9") || killed.Load() < held {
		t.Errorf("only %d programs were killed", killed.Load())
	}
	if !strings.HasSuffix(text, "info: status: 0/20\n"+name+": info: received SIGTERM, quitting\n"+name+": info: exiting\n") {
		t.Errorf("at the end: %q", text[max(0, len(text)-300):])
	}
}
