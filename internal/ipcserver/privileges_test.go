package ipcserver

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// idLines are the lines of /proc/PID/status about ids and capabilities.
var idLines = regexp.MustCompile(`(?m)^(Uid|Gid|Groups|CapPrm|CapEff|CapAmb):\s*(.*?)\s*$`)

// ids returns what idLines finds, in words of one blank.
func ids(status string) (lines []string) {
	for _, match := range idLines.FindAllStringSubmatch(status, -1) {
		lines = append(lines, match[1]+" "+strings.Join(strings.Fields(match[2]), " "))
	}
	return lines
}

// TestPrivileges looks at every thread of the server, and at a program.
func TestPrivileges(t *testing.T) {
	needRoot(t)
	noCapabilities := []string{"CapPrm 0000000000000000", "CapEff 0000000000000000", "CapAmb 0000000000000000"}
	for _, tt := range []struct {
		options []string
		env     []string
		want    []string
	}{
		{[]string{"-u", "1000", "-g", "100", "-G", "4,5"}, nil, []string{"Uid 1000 1000 1000 1000", "Gid 100 100 100 100", "Groups 4 5 100"}},
		{[]string{"-u1000", "-g100"}, nil, []string{"Uid 1000 1000 1000 1000", "Gid 100 100 100 100", "Groups 100"}},
		{[]string{"-u", "1000"}, nil, []string{"Uid 1000 1000 1000 1000", "Gid 0 0 0 0", "Groups 0"}},
		{[]string{"-g", "100", "-G", ""}, nil, []string{"Uid 0 0 0 0", "Gid 100 100 100 100", "Groups 100"}},
		{[]string{"-G", "7"}, nil, []string{"Uid 0 0 0 0", "Gid 0 0 0 0", "Groups 0 7"}},
		{[]string{"-U"}, []string{"UID=33", "GID=44", "GIDLIST=55,66"}, []string{"Uid 33 33 33 33", "Gid 44 44 44 44", "Groups 44 55 66"}},
		{[]string{"-u9", "-U", "-g", "8"}, []string{"UID=33", "GID=44", "GIDLIST="}, []string{"Uid 33 33 33 33", "Gid 8 8 8 8", "Groups 8"}},
		{[]string{"-u", "0"}, []string{"UID=33"}, []string{"Uid 0 0 0 0", "Gid 0 0 0 0", "Groups 3 6"}},
	} {
		t.Run(strings.Join(append(tt.options, tt.env...), " "), func(t *testing.T) {
			path := filepath.Join(tempDir(t), "s")
			cmd := ours(t, slices.Concat([]string{"-1"}, tt.options, []string{path, "/bin/sh", "-c", "cat; cat /proc/self/status; env"})...)
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), noSleep}, tt.env...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{3, 6}}}
			s := launch(t, path, cmd)
			status, _ := call(t, path, nil, "")
			if slices.Contains(tt.options, "-U") {
				for _, entry := range tt.env {
					if strings.Contains(status, "\n"+entry) {
						t.Errorf("%s is left in the environment", entry)
					}
				}
			}
			if tt.want[0] != "Uid 0 0 0 0" {
				tt.want = append(tt.want, noCapabilities...)
			}
			statuses := []string{status}
			tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", s.cmd.Process.Pid))
			for _, task := range tasks {
				text, err := os.ReadFile(task)
				if err != nil {
					continue // the thread has ended
				}
				statuses = append(statuses, string(text))
			}
			if len(statuses) < 4 {
				t.Errorf("only %d threads were looked at", len(statuses)-1)
			}
			for _, status := range statuses {
				if got := ids(status); !slices.Equal(got[:len(tt.want)], tt.want) {
					t.Errorf("want %q\ngot  %q", tt.want, got)
				}
			}
		})
	}
}

// TestPrivilegesFail does not start a server that does not become who it should.
func TestPrivilegesFail(t *testing.T) {
	needRoot(t)
	for _, tt := range []struct {
		options []string
		env     []string
		as      uint32
		status  int
		message string
	}{
		{[]string{"-u", "1001"}, nil, 1000, statusSystem, "fatal: unable to set supplementary groups: operation not permitted"},
		{[]string{"-u", "4294967295"}, nil, 0, statusSystem, "fatal: unable to setuid: invalid argument"},
		{[]string{"-U"}, nil, 0, statusUsage, "fatal: -U: UID is not set"},
		{[]string{"-U"}, []string{"UID=1", "GID=2"}, 0, statusUsage, "fatal: -U: GIDLIST is not set"},
		{[]string{"-U"}, []string{"UID=1", "GID=x", "GIDLIST="}, 0, statusUsage, `fatal: -U: GID="x": want a numeric id`},
	} {
		dir := tempDir(t)
		path := filepath.Join(dir, "s")
		cmd := ours(t, slices.Concat([]string{"-1"}, tt.options, []string{path, "/bin/true"})...)
		cmd.Env = append([]string{noSleep}, tt.env...)
		if tt.as != 0 {
			// The test binary lies where only root can go.
			cmd.Path = copyFile(t, cmd.Path, filepath.Join(dir, serverName))
			if err := os.Chown(dir, int(tt.as), -1); err != nil {
				t.Fatal(err)
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.as, Gid: 100}}
		}
		fails(t, path, cmd, tt.status, tt.message)
	}
}

func copyFile(t *testing.T, from, to string) string {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(target, source); err != nil {
		t.Fatal(err)
	}
	if err := target.Close(); err != nil {
		t.Fatal(err)
	}
	return to
}
