//go:build linux

package client_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"credrpc/client"
	"credrpc/frame"
)

// BenchmarkCall measures calls of 32 bytes against an echo server in a process
// of its own, through this package and through package net.
func BenchmarkCall(b *testing.B) {
	path := startEchoProcess(b)
	c := client.Client{Path: path}
	payload := make([]byte, 32)
	request, _ := frame.AppendRequest(nil, payload)
	ways := []struct {
		name string
		call func(ctx context.Context, dst []byte) ([]byte, error)
	}{
		{"client", func(ctx context.Context, dst []byte) ([]byte, error) {
			return c.AppendCall(ctx, dst, payload)
		}},
		{"net", func(_ context.Context, dst []byte) ([]byte, error) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				return dst, err
			}
			defer conn.Close()
			if _, err := conn.Write(request); err != nil {
				return dst, err
			}
			dst = dst[:2*frame.HeaderSize+len(payload)]
			_, err = io.ReadFull(conn, dst)
			return dst, err
		}},
	}
	for _, callers := range []int{1, 2, 16, 64} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("callers=%d/way=%s", callers, way.name), func(b *testing.B) {
				run(b, context.Background(), callers, way.call)
			})
		}
	}
}

// BenchmarkContext measures what a context that can end adds to a call.
func BenchmarkContext(b *testing.B) {
	c := client.Client{Path: startEchoProcess(b)}
	payload := make([]byte, 32)
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	contexts := []struct {
		name string
		ctx  context.Context
	}{{"background", context.Background()}, {"cancellable", cancellable}}
	for _, callers := range []int{1, 16} {
		for _, row := range contexts {
			b.Run(fmt.Sprintf("callers=%d/context=%s", callers, row.name), func(b *testing.B) {
				run(b, row.ctx, callers, func(ctx context.Context, dst []byte) ([]byte, error) {
					return c.AppendCall(ctx, dst, payload)
				})
			})
		}
	}
}

// BenchmarkSize measures large calls.
func BenchmarkSize(b *testing.B) {
	c := serve(b, socketPath(b), echo)
	for _, size := range []int{32 << 10, 1 << 20, 16 << 20} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			payload := make([]byte, size)
			b.SetBytes(int64(size))
			run(b, context.Background(), 1, func(ctx context.Context, dst []byte) ([]byte, error) {
				return c.AppendCall(ctx, dst, payload)
			})
		})
	}
}

// run has callers make b.N calls altogether.
func run(b *testing.B, ctx context.Context, callers int, call func(context.Context, []byte) ([]byte, error)) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	b.ResetTimer()
	for range callers {
		group.Go(func() {
			dst := make([]byte, 0, 256)
			for left.Add(-1) >= 0 {
				answer, err := call(ctx, dst)
				if err != nil {
					b.Error(err)
					return
				}
				dst = answer[:0]
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// startEchoProcess runs startEcho in another process until the end of b.
func startEchoProcess(b *testing.B) (path string) {
	path = socketPath(b)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), echoVariable+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatal(line, err)
	}
	return path
}
