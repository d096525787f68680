package program

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"credrpc/server"

	"golang.org/x/sys/unix"
)

// Benchmark compares a call, with and without sockets, with fork, exec and wait of
// the same program, which nothing can save, and with what package os/exec takes for
// it. The program echoes 32 bytes.
func Benchmark(b *testing.B) {
	h := handler(b, Config{WithoutRules: true})
	path := serve(b, &server.Server{}, Config{})
	request := "e" + strings.Repeat("x", 32)
	empty, err := os.Open(os.DevNull)
	if err != nil {
		b.Fatal(err)
	}
	defer empty.Close()
	ways := []struct {
		name string
		call func() error
	}{
		{"forkexec", func() error {
			fd := empty.Fd()
			pid, err := syscall.ForkExec(tool.path, []string{"tool"}, &syscall.ProcAttr{Files: []uintptr{fd, fd, fd}})
			if err != nil {
				return err
			}
			_, err = unix.Wait4(pid, nil, 0, nil)
			return err
		}},
		{"handler", func() error {
			_, err := h.ServeCall(b.Context(), nil, &server.Call{Peer: server.NewCredentials(1, 2, 3), Payload: []byte(request)})
			return err
		}},
		{"call", func() error {
			_, err := call(b, path, request)
			return err
		}},
		{"osexec", func() error {
			var stdout, stderr strings.Builder
			cmd := exec.CommandContext(b.Context(), tool.path)
			cmd.Dir, cmd.Env, cmd.SysProcAttr = "/", []string{"PATH=" + safePath}, &syscall.SysProcAttr{Setsid: true}
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(request), &stdout, &stderr
			return cmd.Run()
		}},
	}
	for _, callers := range []int{1, 8} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("callers=%d/way=%s", callers, way.name), func(b *testing.B) {
				var group sync.WaitGroup
				for caller := range callers {
					group.Go(func() {
						for i := caller; i < b.N; i += callers {
							if err := way.call(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				group.Wait()
			})
		}
	}
}
