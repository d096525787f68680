package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// expect compares what came of probes.
func (f finding) expect(t *testing.T, want map[string]string) {
	t.Helper()
	if f.Err != "" {
		t.Fatalf("Apply: %s", f.Err)
	}
	for probe, errno := range want {
		if got, ok := f.Probes[probe]; !ok || got != errno {
			t.Errorf("%s: got %q, want %q; output %q", probe, got, errno, f.Output[probe])
		}
	}
}

// probes returns what is to be tried for want.
func probes(want map[string]string) (names []string) {
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names) // so that runs are alike
	return names
}

// writeFile makes a file that everybody may read.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestStrict tries everything under the zero value, and before that without a sandbox.
func TestStrict(t *testing.T) {
	needRoot(t)
	needKernel(t, 1)
	dir := testDir(t)
	writeFile(t, filepath.Join(dir, "file"), "text")
	want := map[string]string{
		"open /etc/shadow": "EACCES", "read file": "EACCES", "list .": "EACCES", "write new": "EACCES",
		"mkdir sub": "EPERM", "remove other": "EPERM", "chmod file": "EPERM", "fchmod": "EPERM", "chown file": "EPERM",
		"inet": "EPERM", "unix": "EPERM", "signal": "EPERM", "code": "EPERM", "leak": "EPERM",
		"unshare": "EPERM", "run /bin/true": "EACCES", "setuid": "EPERM",
	}
	done := make(map[string]string)
	for name := range want {
		done[name] = ""
	}
	delete(done, "setuid")  // it would change what others do
	delete(done, "unshare") // needs a process of one thread
	writeFile(t, filepath.Join(dir, "other"), "text")
	find(t, 0, script{Bare: true, Probes: probes(done), Dir: dir}).expect(t, done)
	os.RemoveAll(filepath.Join(dir, "sub"))
	writeFile(t, filepath.Join(dir, "other"), "text")
	for _, uid := range []uint32{0, stranger} {
		f := find(t, uid, script{Probes: probes(want), Dir: dir})
		f.expect(t, want)
		if f.Report.Landlock < 1 || f.Report.SystemCalls < 30 || f.Report.SystemCalls > 60 || len(f.Report.Capabilities) > 0 {
			t.Errorf("uid %d: %+v", uid, f.Report)
		}
		// Who may not empty the bounding set is told so.
		if uid == 0 && f.Report.Landlock >= 3 && len(f.Report.Missing) > 0 ||
			uid != 0 && !strings.Contains(fmt.Sprint(f.Report.Missing), "bounding set") {
			t.Errorf("uid %d: missing %q", uid, f.Report.Missing)
		}
	}
}

// TestThreads looks at threads that were there before, and at those made after.
func TestThreads(t *testing.T) {
	needRoot(t)
	needKernel(t, 1)
	for _, uid := range []uint32{0, stranger} {
		const extra = 64
		a := startActor(t, "probe", uid, script{Extra: extra})
		if f := a.tell(); f.Err != "" {
			t.Fatal(f.Err)
		}
		threads := a.statuses()
		if len(threads) < 2*extra {
			t.Errorf("uid %d: only %d threads", uid, len(threads))
		}
		for _, thread := range threads {
			expectConfined(t, thread, uid == 0)
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", a.cmd.Process.Pid))
		if err != nil || !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), "Max core file size 0 0") {
			t.Errorf("uid %d: limits %s, %v", uid, limits, err)
		}
		// The files of a process that is not dumpable belong to user 0 (proc(5)).
		var stat unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/proc/%d/mem", a.cmd.Process.Pid), &stat); err != nil || stat.Uid != 0 {
			t.Errorf("uid %d: its memory belongs to %d, %v", uid, stat.Uid, err)
		}
	}
}

// expectConfined checks one thread.
func expectConfined(t *testing.T, thread map[string]string, bounding bool) {
	t.Helper()
	const none = "0000000000000000"
	want := map[string]string{"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "NoNewPrivs": "1", "Seccomp": "2"}
	if bounding {
		want["CapBnd"] = none
	}
	for field, value := range want {
		if thread[field] != value {
			t.Errorf("thread %s: %s is %q, want %q", thread["Pid"], field, thread[field], value)
		}
	}
}

// TestPaths keeps some files.
func TestPaths(t *testing.T) {
	needRoot(t)
	needKernel(t, 3)
	for _, row := range []struct {
		name    string
		options func(dir string) Options
		want    map[string]string
	}{
		{"a directory to read", func(dir string) Options { return Options{Read: []string{dir}} }, map[string]string{
			"read file": "", "list .": "", "open /etc/shadow": "EACCES", "write file": "EACCES", "remove file": "EPERM", "mkdir sub": "EPERM", "fchmod": "EPERM", "run /bin/true": "EACCES",
		}},
		{"a file to read", func(dir string) Options { return Options{Read: []string{dir + "/file"}} }, map[string]string{
			"read file": "", "read other": "EACCES", "list .": "EACCES",
		}},
		{"a directory to remove in", func(dir string) Options { return Options{Remove: []string{dir}} }, map[string]string{
			"remove file": "", "read other": "EACCES", "list .": "EACCES", "write new": "EACCES", "mkdir sub": "EPERM",
		}},
		{"a directory to write in", func(dir string) Options { return Options{Write: []string{dir}} }, map[string]string{
			"write new": "", "mkdir sub": "", "read file": "", "remove other": "", "chmod file": "EPERM", "chown file": "EPERM", "open /etc/shadow": "EACCES",
		}},
		{"a system call", func(string) Options { return Options{SystemCalls: []string{"fchmod"}} }, map[string]string{
			"fchmod": "", "chmod file": "EPERM",
		}},
		{"all system calls", func(string) Options { return Options{WithoutFilter: true} }, map[string]string{
			"fchmod": "", "code": "", "inet": "", "open /etc/shadow": "EACCES",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := testDir(t)
			writeFile(t, filepath.Join(dir, "file"), "text")
			writeFile(t, filepath.Join(dir, "other"), "text")
			f := find(t, 0, script{Options: row.options(dir), Probes: probes(row.want), Dir: dir})
			f.expect(t, row.want)
		})
	}
}

// TestPrograms starts programs inside the sandbox.
func TestPrograms(t *testing.T) {
	needRoot(t)
	needKernel(t, 1)
	dir := testDir(t)
	setid := filepath.Join(dir, "id")
	program, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(setid, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(setid, os.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	whoami := "run " + setid + " -u"
	if f := find(t, stranger, script{Bare: true, Probes: []string{whoami}}); f.Output[whoami] != "0\n" {
		t.Fatalf("without a sandbox the set-user-ID bit does nothing: %+v", f)
	}
	options := Options{Execute: []string{dir}, Write: []string{"/dev/null"}}
	for _, path := range []string{"/usr", "/bin", "/lib", "/lib64"} {
		if _, err := os.Stat(path); err == nil {
			options.Execute = append(options.Execute, path)
		}
	}
	want := map[string]string{
		whoami: "", "killchild": "", "run /bin/true": "", "run /bin/cat /etc/shadow": "exit status 1",
		"run /bin/chmod 777 " + setid: "exit status 1", "namespace": "EPERM", "unshare": "EPERM", "unix": "EPERM", "setuid": "EPERM",
		"typing 0": "EPERM", "typing 0x100000000": "EPERM", "typing 0xffffffff00000000": "EPERM", "terminal": "ENOTTY", "limit": "EPERM",
	}
	for _, uid := range []uint32{0, stranger} {
		f := find(t, uid, script{Options: options, Probes: probes(want)})
		f.expect(t, want)
		if got, want := f.Output[whoami], fmt.Sprintln(uid); got != want {
			t.Errorf("uid %d: a set-user-ID program runs as %q", uid, got)
		}
		if got := f.Output["run /bin/cat /etc/shadow"]; !strings.Contains(got, "Permission denied") {
			t.Errorf("uid %d: a program that reads says %q", uid, got)
		}
	}
}

// TestCapabilities keeps one.
func TestCapabilities(t *testing.T) {
	needRoot(t)
	needKernel(t, 1)
	dir := testDir(t)
	writeFile(t, filepath.Join(dir, "file"), "")
	options := Options{Capabilities: []string{"cap_chown"}, Read: []string{dir}}
	a := startActor(t, "probe", 0, script{Options: options, Probes: []string{"chown file", "setuid"}, Dir: dir, Extra: 4})
	f := a.tell()
	f.expect(t, map[string]string{"chown file": "", "setuid": "EPERM"})
	if !slices.Equal(f.Report.Capabilities, []string{"CAP_CHOWN"}) {
		t.Errorf("kept %q", f.Report.Capabilities)
	}
	for _, thread := range a.statuses() {
		for _, field := range []string{"CapPrm", "CapEff", "CapBnd"} {
			if thread[field] != "0000000000000001" {
				t.Errorf("thread %s: %s is %s", thread["Pid"], field, thread[field])
			}
		}
	}
}

// TestRefused has options that cannot be had. They change nothing.
func TestRefused(t *testing.T) {
	needRoot(t)
	dir := testDir(t)
	file := filepath.Join(dir, "file")
	writeFile(t, file, "")
	for _, row := range []struct {
		name, want string
		uid        uint32
		options    Options
	}{
		{"a path that is missing", `Read: stat ` + dir + `/none: no such file`, 0, Options{Read: []string{dir + "/none"}}},
		{"a file to remove in", "Remove: remove beneath " + file + ": not a directory", 0, Options{Remove: []string{file}}},
		{"no name of a capability", `"CHOWN" is not a name`, 0, Options{Capabilities: []string{"CHOWN"}}},
		{"a capability that is not there", "does not have CAP_CHOWN", stranger, Options{Capabilities: []string{"CAP_CHOWN"}}},
		{"no system call", `"dance" is no system call`, 0, Options{SystemCalls: []string{"dance"}}},
		{"a newer kernel", "want at least 99", 0, Options{MinLandlock: 99}},
		{"more descriptors than there are", "OpenFiles: 1099511627776 is over", 0, Options{OpenFiles: 1 << 40}},
	} {
		a := startActor(t, "probe", row.uid, script{Options: row.options})
		if f := a.tell(); !strings.Contains(f.Err, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, f.Err, row.want)
		}
		for _, thread := range a.statuses() {
			if thread["NoNewPrivs"] != "0" || thread["Seccomp"] != "0" || (thread["CapEff"] == "0000000000000000") != (row.uid != 0) {
				t.Errorf("%s: something has changed: %v", row.name, thread)
			}
		}
	}
}

// TestLimits lowers limits.
func TestLimits(t *testing.T) {
	a := startActor(t, "probe", uint32(os.Getuid()), script{Options: Options{OpenFiles: 100, Processes: 1000}})
	if f := a.tell(); f.Err != "" {
		t.Fatal(f.Err)
	}
	for resource, want := range map[int]uint64{unix.RLIMIT_NOFILE: 100, unix.RLIMIT_NPROC: 1000, unix.RLIMIT_CORE: 0} {
		var got unix.Rlimit
		if err := unix.Prlimit(a.cmd.Process.Pid, resource, nil, &got); err != nil || got.Cur != want || got.Max != want {
			t.Errorf("resource %d: %+v, %v, want %d", resource, got, err, want)
		}
	}
}

// TestZone has the time zone of the machine, whose file cannot be read any more.
func TestZone(t *testing.T) {
	var names [2]string
	for i, bare := range []bool{true, false} {
		a := startActor(t, "probe", uint32(os.Getuid()), script{Bare: bare, Probes: []string{"zone"}}, "TZ=Asia/Kolkata")
		f := a.tell()
		f.expect(t, map[string]string{"zone": ""})
		names[i] = f.Output["zone"]
	}
	if names[0] != names[1] {
		t.Errorf("without a sandbox %s, with one %s", names[0], names[1])
	}
	if _, err := os.Stat("/usr/share/zoneinfo/Asia/Kolkata"); err == nil && names[0] != "IST" {
		t.Errorf("TZ says nothing: %s", names[0])
	}
}

// TestCgo refuses a program whose threads cannot all be reached.
func TestCgo(t *testing.T) {
	if path, err := actorProgram(); err != nil || path == os.Args[0] {
		lacking(t, fmt.Sprintf("this test binary is built without cgo (%v)", err))
	}
	if _, err := Apply(Options{}); err != ErrCgo {
		t.Errorf("got %v", err)
	}
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || set != 0 {
		t.Errorf("something has changed: %d, %v", set, err)
	}
}

// TestNames finds misspelt system calls, which would be left out. amd64 has all.
func TestNames(t *testing.T) {
	machine, err := arch.GetInfo("x86_64")
	if err != nil {
		t.Fatal(err)
	}
	lists := [][]string{running, serving, reading, removing, writing, starting, insidePrograms, opening, unreadable}
	for _, calls := range forCapability {
		lists = append(lists, calls)
	}
	for _, name := range slices.Concat(lists...) {
		if _, ok := machine.SyscallNames[name]; !ok {
			t.Errorf("%q", name)
		}
	}
}

// TestCapabilityNames compares names with the kernel's numbers.
func TestCapabilityNames(t *testing.T) {
	for name, number := range map[string]int{
		"CAP_CHOWN": unix.CAP_CHOWN, "CAP_SETPCAP": unix.CAP_SETPCAP, "CAP_NET_RAW": unix.CAP_NET_RAW, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN,
		"CAP_LEASE": unix.CAP_LEASE, "CAP_SYSLOG": unix.CAP_SYSLOG, "CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
	} {
		if got := capabilityNumber(name); got != number {
			t.Errorf("%s: %d, want %d", name, got, number)
		}
	}
	if len(capabilityNames) != unix.CAP_LAST_CAP+1 {
		t.Errorf("%d names, want %d", len(capabilityNames), unix.CAP_LAST_CAP+1)
	}
}

// TestCore keeps this package and what it imports out of what every server imports.
func TestCore(t *testing.T) {

	out, err := exec.Command("go", "list", "-deps", "credrpc/server", "credrpc/client", "credrpc/frame", "credrpc/accessdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"credrpc/sandbox", "landlock", "seccomp", "libcap"} {
		if strings.Contains(string(out), name) {
			t.Errorf("they import %s", name)
		}
	}
}
