//go:build !race

package main

import (
	"bytes"
	"io"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// manyRecords is the text of n rules, made as it is read.
type manyRecords struct {
	n, next int
	rest    []byte
}

func (m *manyRecords) Read(b []byte) (int, error) {
	if len(m.rest) == 0 {
		if m.next > m.n {
			return 0, io.EOF
		}
		var text bytes.Buffer
		for end := min(m.next+1000, m.n); m.next < end; m.next++ {
			key := "uid/" + strconv.Itoa(m.next)
			text.WriteString("+" + strconv.Itoa(len(key)) + ",5:" + key + "->A\x00\x00\x00\x00\n")
		}
		if m.next == m.n {
			text.WriteByte('\n')
			m.next++
		}
		m.rest = text.Bytes()
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

// TestCompileMemory makes a file of a million records in a process of its own, which
// may take what the hash tables take, 16 bytes a record, and 64 MiB.
func TestCompileMemory(t *testing.T) {
	const records = 1000000
	file := filepath.Join(tempDir(t), "rules.cdb")
	cmd := program(t, "rules", "compile", "--records", "-", file)
	cmd.Stdin = &manyRecords{n: records}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss // KiB, see getrusage(2)
	t.Logf("%d KiB", peak)
	if limit := int64(64<<10 + records*16>>10); peak > limit {
		t.Errorf("%d KiB in memory, the limit is %d", peak, limit)
	}
	status, out, stderr := result("", "rules", "check", "--rules", file, "--uid=999999", "--gid=1", "--self-gid=0", "--self-uid=0")
	if status != exitOK || stderr != "" {
		t.Errorf("the last rule: %d, %q, %q", status, out, stderr)
	}
}
