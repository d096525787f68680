package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"credrpc/internal/leak"
)

// patience bounds every wait of a test that is about to fail.
const patience = 60 * time.Second

// built is a directory for the programs, which are built once, when they are first
// asked for. Everybody may look into it.
var built string

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "credrpc-access"); err == nil {
		err = os.Chmod(built, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := leak.Run(m)
	os.RemoveAll(built)
	os.Exit(status)
}

// variant is a way to build the program.
type variant struct {
	name  string
	cgo   bool
	flags []string
}

var (
	static        = variant{"cgo, static", true, []string{"-ldflags", "-linkmode external -extldflags -static"}}
	dynamic       = variant{"cgo, dynamic", true, nil}
	withoutCgo    = variant{"without cgo", false, nil}
	variants      = []variant{static, dynamic, withoutCgo}
	cgoSwitch     = map[bool]string{true: "CGO_ENABLED=1", false: "CGO_ENABLED=0"}
	realProgram   = "s6-ipcserver-access"
	pidOfAMessage = regexp.MustCompile(`\bpid \d+\b`)
)

// build returns the program, built that way.
func (v variant) build(t testing.TB) string {
	t.Helper()
	if v.cgo {
		compiler(t)
	}
	path := filepath.Join(built, v.name, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, v.flags...), ".")...)
	cmd.Env = append(os.Environ(), cgoSwitch[v.cgo])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	return path
}

// compiler returns the C compiler.
func compiler(t testing.TB) string {
	t.Helper()
	return installed(t, "cc", "gcc")
}

// compile returns a C program of testdata.
func compile(t testing.TB, program string) string {
	t.Helper()
	path := filepath.Join(built, program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command(compiler(t), "-O2", "-static", "-o", path, filepath.Join("testdata", program+".c"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	return path
}

// installed returns the path of a program, or skips the test.
func installed(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatalf("%s of the Debian package %s is not installed", program, debianPackage)
	}
	t.Skipf("%s of the Debian package %s is not installed", program, debianPackage)
	return ""
}

// openDir returns a temporary directory with a short path into which everybody may
// look.
func openDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "access")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// question is a run of the program.
type question struct {
	name  string
	args  []string
	env   []string // NAME=VALUE, complete
	stdin string   // as a shell writes it
}

// answer is what came of it.
type answer struct {
	status         int
	stdout, stderr string
}

func (a answer) String() string {
	return fmt.Sprintf("%d, err %.300q, out %.1000q", a.status, a.stderr, a.stdout)
}

// ask has a shell put questions to a program, as the user that credential says,
// with files as descriptors 3 and above. It may be called by any goroutine of a test,
// and returns nil when it has failed.
func ask(t testing.TB, program string, questions []question, dir string, credential *syscall.Credential, files []*os.File) []answer {
	t.Helper()
	const end = "\x00end of answer\x00"
	var script strings.Builder
	for _, q := range questions {
		fmt.Fprintf(&script, "env -i %s %s %s\n", quoted(q.env...), quoted(append([]string{program}, q.args...)...), q.stdin)
		script.WriteString("printf '\\0%d\\0end of answer\\0' $?; printf '\\0end of answer\\0' >&2\n")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sh := exec.CommandContext(ctx, "/bin/sh", "-c", script.String())
	if script.Len() > 100_000 { // an argument has 128 KiB at most, see execve(2)
		path := filepath.Join(dir, "script-"+filepath.Base(program))
		if err := os.WriteFile(path, []byte(script.String()), 0o644); err != nil {
			t.Error(err)
			return nil
		}
		sh = exec.CommandContext(ctx, "/bin/sh", path)
	}
	sh.Dir, sh.ExtraFiles = dir, files
	sh.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	sh.Cancel = func() error { return syscall.Kill(-sh.Process.Pid, syscall.SIGKILL) }
	var stdout, stderr bytes.Buffer
	sh.Stdout, sh.Stderr = &stdout, &stderr
	err := sh.Run()
	var exit *exec.ExitError
	outs, errs := strings.Split(stdout.String(), end), strings.Split(stderr.String(), end)
	if err != nil && !errors.As(err, &exit) || len(outs) != len(questions)+1 || len(errs) != len(questions)+1 {
		t.Errorf("%v: %d and %d answers to %d questions: %s", err, len(outs)-1, len(errs)-1, len(questions), errs[len(errs)-1])
		return nil
	}
	answers := make([]answer, len(questions))
	for i := range questions {
		a := &answers[i]
		cut := strings.LastIndexByte(outs[i], 0)
		fmt.Sscan(outs[i][cut+1:], &a.status)
		a.stdout = normalEnvironment(outs[i][:cut])
		a.stderr = strings.ReplaceAll(pidOfAMessage.ReplaceAllString(errs[i], "pid N"), realProgram, name)
	}
	return answers
}

// quoted returns words as a shell takes them literally.
func quoted(words ...string) string {
	var b strings.Builder
	for _, word := range words {
		b.WriteString(" '" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	return b.String()
}

// normalEnvironment sorts what "env -0" writes.
func normalEnvironment(out string) string {
	entries := strings.Split(out, "\x00")
	slices.Sort(entries)
	return strings.TrimPrefix(strings.Join(entries, "\x00"), "\x00")
}
