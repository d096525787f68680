package program

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"credrpc/accessdb"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// roleVariable holds what another process of the tests does, and its arguments.
const roleVariable = "CREDRPC_TEST_ROLE"

// roles are what other processes can be.
var roles = map[string]func(args []string) error{
	"call":  roleCall,
	"serve": roleServe,
}

// startRole starts this binary in the role args[0]. It is ended with the test.
func startRole(t testing.TB, args ...string) (cmd *exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), "/proc/self/exe")
	// The race detector waits a second at the end if it is not told otherwise.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", roleVariable+"="+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // roles end with it
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewScanner(stdout)
}

// roleCall calls PATH as user and group ID with REQUEST, and prints the answer or
// the error, quoted.
func roleCall(args []string) error {
	id, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Setgroups(nil), unix.Setresgid(id, id, id), unix.Setresuid(id, id, id)); err != nil {
		return err
	}
	answer, err := callUntil(context.Background(), args[0], args[2])
	if err != nil {
		fmt.Printf("error: %q\n", err.Error())
		return nil
	}
	fmt.Printf("answer: %q\n", answer)
	return nil
}

// roleServe runs PROGRAM for whoever calls the socket PATH, says so, and goes on until
// its standard input ends.
func roleServe(args []string) error {
	h, err := New(Config{Program: args[1:]})
	if err != nil {
		return err
	}
	srv := &server.Server{Handler: h, Access: allowing(accessdb.Result{Decision: accessdb.Allow}), Ready: func() { fmt.Println("ready") }}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		srv.Close()
	}()
	if err := srv.ListenAndServe(args[0]); !errors.Is(err, server.ErrServerClosed) {
		return err
	}
	return nil
}
