package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"credrpc/server"

	"golang.org/x/sys/unix"
)

// act is the whole life of an actor.
func act(role string) int {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	var s script
	if err == nil {
		err = json.Unmarshal(line, &s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	switch role {
	case "probe":
		err = actProbe(s, in)
	case "serve":
		err = actServe(s, in)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// actProbe applies the sandbox, tries what it is told to, and waits for the end of
// its input.
func actProbe(s script, in io.Reader) error {
	block, release, err := os.Pipe()
	if err != nil {
		return err
	}
	defer release.Close()
	occupyThreads(s.Extra, int(block.Fd()))
	f := finding{Probes: make(map[string]string), Output: make(map[string]string)}
	if !s.Bare {
		f.Report, err = Apply(s.Options)
	}
	if err != nil {
		f.Err = err.Error()
	} else {
		occupyThreads(s.Extra, int(block.Fd()))
		for _, probe := range s.Probes {
			out, err := tryProbe(probe, s.Dir)
			f.Output[probe] = out
			if err != nil {
				f.Probes[probe] = symptom(err)
			} else {
				f.Probes[probe] = ""
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return err
	}
	io.Copy(io.Discard, in)
	return nil
}

// occupyThreads returns when n more threads wait in a system call.
func occupyThreads(n, fd int) {
	var ready sync.WaitGroup
	for range n {
		ready.Add(1)
		go func() {
			runtime.LockOSThread()
			ready.Done()
			unix.Read(fd, make([]byte, 1))
		}()
	}
	ready.Wait()
}

// symptom returns the name of the error number, or the text.
func symptom(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// tryProbe does what a sandboxed process may not want to be able to do.
func tryProbe(name, dir string) (out string, err error) {
	name, argument, _ := strings.Cut(name, " ")
	path := filepath.Join(dir, argument)
	switch name {
	case "open":
		f, err := os.Open(argument)
		f.Close()
		return "", err
	case "read":
		text, err := os.ReadFile(path)
		return string(text), err
	case "list":
		_, err := os.ReadDir(path)
		return "", err
	case "write":
		return "", os.WriteFile(path, []byte("written"), 0o600)
	case "mkdir":
		return "", os.Mkdir(path, 0o700)
	case "remove":
		return "", os.Remove(path)
	case "chmod":
		return "", os.Chmod(path, 0o777)
	case "fchmod":
		// Descriptor 0 is a pipe of this process's user.
		return "", unix.Fchmod(0, 0o777)
	case "chown":
		return "", os.Chown(path, 1, 1)
	case "inet":
		return "", closeSocket(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	case "unix":
		return "", closeSocket(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0))
	case "setuid":
		return "", unix.Setresuid(1, 1, 1)
	case "signal":
		return "", unix.Kill(os.Getppid(), 0)
	case "code":
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			unix.Munmap(b)
		}
		return "", err
	case "unshare":
		return "", unix.Unshare(unix.CLONE_NEWUSER)
	case "namespace":
		cmd := exec.Command("/bin/true")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
		return "", cmd.Run()
	case "leak":
		_, err := unix.FcntlInt(0, unix.F_SETOWN, 1)
		return "", err
	case "typing":
		return "", typing(argument)
	case "terminal":
		return "", terminal()
	case "limit":
		// Of the process that has started this one, and of the same user.
		var limit unix.Rlimit
		return "", unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, nil, &limit)
	case "run":
		ctx, cancel := context.WithTimeout(context.Background(), patience/2)
		defer cancel()
		cmd := exec.CommandContext(ctx, strings.Fields(argument)[0], strings.Fields(argument)[1:]...)
		text, err := cmd.CombinedOutput()
		return string(text), err
	case "killchild":
		return "", killChild()
	case "zone":
		name, _ := time.Now().Zone()
		return name, nil
	case "cost":
		return costOf(argument), nil
	}
	return "", fmt.Errorf("no probe %q", name)
}

// typing asks for a character to be typed, with further bits at which the kernel, to
// which the request is an unsigned int, does not look. See TIOCSTI(2const).
func typing(bits string) error {
	further, err := strconv.ParseUint(bits, 0, 64)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, uintptr(unix.TIOCSTI|further), 0); errno != 0 {
		return errno
	}
	return nil
}

// terminal asks descriptor 0 whether it is one that can be locked, with the sign of an
// int as some C libraries pass it. See TIOCGPTLCK(2const).
func terminal() error {
	request := int32(unix.TIOCGPTLCK - 1<<32)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, uintptr(request), 0); errno != 0 {
		return errno
	}
	return nil
}

func closeSocket(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// killChild starts a program on one thread and ends it from another.
func killChild() error {
	cmd := exec.Command("/bin/sleep", "60")
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		started <- cmd.Start()
	}()
	if err := <-started; err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Kill(cmd.Process.Pid, unix.SIGKILL); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		return fmt.Errorf("it ended with %w", err)
	}
	return nil
}

// actServe serves on a socket in its directory until SIGTERM or the end of its input.
// Requests of "block" hold a thread until 64 of them do.
func actServe(s script, in io.Reader) error {
	var together sync.WaitGroup
	together.Add(blockers)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { io.Copy(io.Discard, in); stop() }()
	srv := &server.Server{Mode: 0o666, Handler: server.HandlerFunc(func(_ context.Context, dst []byte, call *server.Call) ([]byte, error) {
		if string(call.Payload) == "block" {
			block(&together)
		}
		if len(call.Payload) > 100 {
			return append(dst, bytes.Clone(call.Payload)...), nil // garbage for the collector
		}
		return append(dst, call.Payload...), nil
	})}
	srv.Listening = func() (err error) {
		var f finding
		if !s.Bare {
			f.Report, err = Apply(s.Options)
		}
		return errors.Join(err, json.NewEncoder(os.Stdout).Encode(f))
	}
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe(filepath.Join(s.Dir, "s")) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.Background(), patience/2)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		return err
	}
	if err := <-served; err != server.ErrServerClosed {
		return err
	}
	return nil
}

// blockers is how many handlers block at once, each on a thread of its own.
const blockers = 64

func block(together *sync.WaitGroup) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	together.Done()
	together.Wait()
	// In the kernel, where the thread is lost to others.
	unix.Poll(nil, 100)
}
