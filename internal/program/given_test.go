package program

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"credrpc/accessdb"
	"credrpc/server"

	"golang.org/x/sys/unix"
)

// env encodes NAME=VALUE to set and NAME to unset.
func env(t testing.TB, entries ...string) accessdb.Env {
	t.Helper()
	var all []accessdb.Modification
	for _, entry := range entries {
		name, value, set := strings.Cut(entry, "=")
		all = append(all, accessdb.Modification{Name: name, Value: value, Unset: !set})
	}
	encoded, err := accessdb.NewEnv(all...)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// list takes apart what "env -0" prints.
func list(output string) []string {
	return slices.Sorted(slices.Values(strings.Split(strings.TrimSuffix(output, "\x00"), "\x00")))
}

// TestEnvironment compares whole environments. The server's own holds what would
// change how a program runs.
func TestEnvironment(t *testing.T) {
	dangerous := []string{
		"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "IFS", "ENV", "BASH_ENV",
		"SHELLOPTS", "PS4", "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYLIB", "NODE_OPTIONS", "HOME", "USER",
		"LANG", "LC_ALL", "TZ", "TERM", "EDITOR", "GIT_DIR", "SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "NOTIFY_SOCKET", "LISTEN_FDS",
		"GODEBUG", "GOTRACEBACK", "IPCREMOTEUID", "IPCREMOTEPATH", "IPCCONNNUM", "IPCREMOTEEUID", "IPCRULE", "PROTO",
	}
	path := serve(t, &server.Server{}, Config{}) // compiles the tool before this process's environment changes
	for _, name := range dangerous {
		if name != "GODEBUG" {
			t.Setenv(name, "from the server")
		}
	}
	t.Setenv("PATH", "/server/bin:"+os.Getenv("PATH"))
	base := map[string]string{
		"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PROTO": "IPC",
		"IPCREMOTEPID":  strconv.Itoa(os.Getpid()),
		"IPCREMOTEEUID": strconv.Itoa(os.Geteuid()), "IPCREMOTEEGID": strconv.Itoa(os.Getegid()),
		"IPCLOCALPATH": path, "IPCRULE": "uid/1234",
	}
	rows := []struct {
		name    string
		result  accessdb.Result
		changes map[string]string // "" removes
	}{
		{"a rule that only allows", allowed, nil},
		{"the rule of a group", accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyGID, ID: 7}}, map[string]string{"IPCRULE": "gid/7"}},
		{"the rule for everybody", accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyUIDDefault}}, map[string]string{"IPCRULE": "uid/default"}},
		{"no rule, but the identity", accessdb.Result{Decision: accessdb.Allow, Key: accessdb.Key{Kind: accessdb.KeyIdentity}}, map[string]string{"IPCRULE": "identity"}},
		{"a rule that sets", accessdb.Result{Decision: accessdb.Allow, Key: allowed.Key, Env: env(t, "A=1", "HOME=/root", "EMPTY=")},
			map[string]string{"A": "1", "HOME": "/root", "EMPTY": "="}},
		{"a rule that overrides", accessdb.Result{Decision: accessdb.Allow, Key: allowed.Key, Env: env(t, "PATH=/opt/bin", "IPCREMOTEEUID=0", "PROTO", "IPCRULE")},
			map[string]string{"PATH": "/opt/bin", "IPCREMOTEEUID": "0", "PROTO": "", "IPCRULE": ""}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			path := serve(t, &server.Server{Access: allowing(row.result)}, Config{})
			want := maps.Clone(base)
			want["IPCLOCALPATH"] = path
			for name, value := range row.changes {
				want[name] = strings.TrimPrefix(value, "=")
				if value == "" {
					delete(want, name)
				}
			}
			var lines []string
			for name, value := range want {
				lines = append(lines, name+"="+value)
			}
			slices.Sort(lines)
			got, err := call(t, path, "E")
			if err != nil || !slices.Equal(list(got), lines) {
				t.Errorf("%v\ngot  %q\nwant %q", err, list(got), lines)
			}
		})
	}
}

// TestWithoutRules checks that a server without rules runs nothing, unless the
// configuration says so, and what a program is told then.
func TestWithoutRules(t *testing.T) {
	h := handler(t, Config{MaxPrograms: 1})
	peer := server.NewCredentials(1, 2, 3)
	for name, c := range map[string]*server.Call{
		"no rules":           {Peer: peer, Payload: []byte("e")},
		"a rule that denies": {Peer: peer, Access: accessdb.Result{Decision: accessdb.Deny}},
		"no credentials":     {Access: allowed},
	} {
		if answer, err := h.ServeCall(t.Context(), nil, c); err != errDenied || answer != nil {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	open := handler(t, Config{WithoutRules: true, LocalPath: "@name"})
	want := []string{"IPCLOCALPATH=@name", "IPCREMOTEEGID=3", "IPCREMOTEEUID=2", "IPCREMOTEPID=1", "PATH=" + safePath, "PROTO=IPC"}
	got, err := open.ServeCall(t.Context(), nil, &server.Call{Peer: peer, Payload: []byte("E")})
	if err != nil || !slices.Equal(list(string(got)), want) {
		t.Errorf("%q, %v", list(string(got)), err)
	}
	if _, err := open.ServeCall(t.Context(), nil, &server.Call{Payload: []byte("E")}); err != errDenied {
		t.Errorf("no credentials: %v", err)
	}
}

// TestArguments checks that the program gets its name as it was given.
func TestArguments(t *testing.T) {
	dir := filepath.Dir(toolPath(t))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	marks := filepath.Join(t.TempDir(), "marks")
	path := serve(t, &server.Server{}, Config{Program: []string{"tool", marks, "", "--flag", "two words", "\x01\xff"}})
	got, err := call(t, path, "a")
	if want := "tool\x00" + marks + "\x00\x00--flag\x00two words\x00\x01\xff\x00"; err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDescriptors checks that a program has its three pipes and nothing else: not
// the server's sockets, not what other calls use, not what the server was started
// with.
func TestDescriptors(t *testing.T) {
	leaky, err := unix.Open("/dev/null", unix.O_RDONLY, 0) // no O_CLOEXEC, as if inherited
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leaky)
	path := serve(t, &server.Server{}, Config{})
	if got, err := call(t, path, "d"); err != nil || got != "0 1 2 " {
		t.Errorf("%q, %v", got, err)
	}
	files := serve(t, &server.Server{}, Config{Program: []string{"readlink", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2"}})
	got, err := call(t, files, "")
	if lines := strings.Fields(got); err != nil || len(lines) != 3 || strings.Count(got, "pipe:[") != 3 || lines[0] == lines[1] || lines[1] == lines[2] {
		t.Errorf("%q, %v", got, err)
	}
}

// statusLine returns what follows name in a status file of /proc.
func statusLine(status, name string) string {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "no line " + name
}

// TestProcess looks at what else a program starts with.
func TestProcess(t *testing.T) {
	status := serve(t, &server.Server{}, Config{Program: []string{"cat", "/proc/self/status"}})
	got, err := call(t, status, "")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SigPnd", "ShdPnd", "SigBlk", "SigCgt"} {
		if line := statusLine(got, name); strings.Trim(line, "0") != "" {
			t.Errorf("%s: %q", name, line)
		}
	}
	// What this process inherited as ignored, SIGHUP and SIGINT, stays ignored.
	for _, name := range []string{"SigIgn", "Umask", "Uid", "Gid", "Groups", "CapEff", "NoNewPrivs"} {
		if line, want := statusLine(got, name), statusLine(string(own), name); line != want {
			t.Errorf("%s: %q, and of the server %q", name, line, want)
		}
	}

	stat := serve(t, &server.Server{}, Config{Program: []string{"cut", "-d", " ", "-f", "1,4-7", "/proc/self/stat"}})
	var pid, parent, group, session, terminal int
	got, err = call(t, stat, "")
	if n, _ := fmt.Sscan(got, &pid, &parent, &group, &session, &terminal); err != nil || n != 5 || parent != os.Getpid() || group != pid || session != pid || terminal != 0 {
		t.Errorf("%q, %v", got, err)
	}

	directory := serve(t, &server.Server{}, Config{Program: []string{"pwd", "-P"}})
	if got, err := call(t, directory, ""); err != nil || got != "/\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestNew checks what is found wrong at the start.
func TestNew(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+":.")
	t.Chdir(dir)
	if err := os.WriteFile("here", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name   string
		config Config
		want   string
	}{
		{"no program", Config{}, "no program"},
		{"a name that no directory has", Config{Program: []string{"no-such-program"}}, `program "no-such-program": executable file not found in $PATH`},
		{"a path where nothing is", Config{Program: []string{"/no/such"}}, `program "/no/such": stat /no/such: no such file or directory`},
		{"a file that is not executable", Config{Program: []string{plain}}, `plain": permission denied`},
		{"a directory", Config{Program: []string{"/tmp"}}, `program "/tmp": is a directory`},
		{"an empty name", Config{Program: []string{""}}, `program "": executable file not found in $PATH`},
		{"a program in a relative directory of PATH", Config{Program: []string{"here"}}, `program "here": cannot run executable found relative to current directory`},
		{"a negative limit", Config{Program: []string{"true"}, MaxPrograms: -1}, "limit of -1 programs"},
	}
	for _, row := range rows {
		if h, err := New(row.config); h != nil || err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	h, err := New(Config{Program: []string{"./here"}})
	if err != nil || h.program != filepath.Join(dir, "here") {
		t.Errorf("a relative path: %v, %v", h, err)
	}
	if h.maxOutput != server.DefaultMaxResponse || h.places.free != DefaultMaxPrograms {
		t.Errorf("defaults: %d bytes, %d programs", h.maxOutput, h.places.free)
	}
}
