package main

import (
	"encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
)

// ruleSets are rules directories by name: files with contents. A name that ends with
// a slash is a directory, and one that begins with a dash is unreadable.
var ruleSets = map[string]map[string]string{
	"none":          {"uid/": ""},
	"all":           {"uid/default/allow": ""},
	"nobody":        {"uid/default/deny": ""},
	"one-user":      {"uid/1000/allow": "", "uid/default/deny": ""},
	"all-but-one":   {"uid/1000/deny": "", "uid/default/allow": "with content"},
	"group":         {"gid/1000/allow": "", "gid/2/deny": "", "uid/1/deny": ""},
	"self":          {"uid/self/deny": "", "gid/self/allow": "", "uid/default/allow": ""},
	"group-self":    {"gid/self/deny": "", "uid/default/allow": ""},
	"both":          {"uid/1000/allow": "", "uid/1000/deny": "", "uid/default/deny": ""},
	"neither":       {"uid/1000/env/A": "not this", "gid/1000/exec": "echo not this", "uid/default/allow": "", "uid/default/env/A": "this"},
	"zeros":         {"uid/01/allow": "", "uid/007/allow": "", "uid/7/deny": ""},
	"large":         {"uid/4294967294/allow": "", "gid/2147483648/allow": ""},
	"set":           {"uid/default/allow": "", "uid/default/env/A": "after", "uid/default/env/NEW": "1\n2\n", "uid/default/env/HOME": "/x \t\r\n", "uid/1000/env/": ""},
	"unset":         {"uid/default/allow": "", "uid/default/env/A": "", "uid/default/env/HOME": "", "uid/default/env/NOT_THERE": "", "uid/1000/allow": "", "uid/1000/env/A": "\n"},
	"odd-values":    {"uid/default/allow": "", "uid/default/env/ZERO": "a\x00b\x00\n", "uid/default/env/EQUALS": "= =", "uid/default/env/B=C": "skipped", "uid/default/env/.D": "skipped", "uid/default/env/ünï": "cöde", "uid/default/env/a b": " \tc"},
	"connection":    {"uid/default/allow": "", "uid/default/env/PROTO": "OTHER", "uid/default/env/IPCREMOTEEUID": "5", "uid/default/env/IPCLOCALPATH": "rule", "uid/default/env/IPCCONNNUM": "9"},
	"no-connection": {"uid/default/allow": "", "uid/default/env/PROTO": "", "uid/default/env/IPCREMOTEEUID": "", "uid/default/env/IPCLOCALPATH": ""},
	"path":          {"uid/default/allow": "", "uid/default/env/PATH": "/nowhere", "uid/1000/allow": "", "uid/1000/env/PATH": ""},
	"long-values":   {"uid/default/allow": "", "uid/default/env/LONG": strings.Repeat("long ", 700), "uid/1000/deny": strings.Repeat("x", 10000)},
	"exec":          {"uid/default/allow": "", "uid/default/exec": "env -0 EXECUTED=1", "uid/default/env/A": "after", "uid/1000/allow": "", "uid/1000/exec": "if { true }\nenv -0\n", "uid/2/deny": "", "uid/2/exec": "env"},
	"exec-zero":     {"uid/default/allow": "", "uid/default/exec": "env -0 B=1\x00 C=2", "uid/1000/allow": "", "uid/1000/exec": "", "uid/1/allow": "", "uid/1/exec": "\x00env"},
	"exec-fails":    {"uid/default/allow": "", "uid/default/exec": "/nowhere/program", "uid/1000/allow": "", "uid/1000/exec": "if {", "uid/1/allow": "", "uid/1/exec": "exit 7"},
	"exec-long":     {"uid/default/allow": "", "uid/default/exec": "env -0 LONG=" + strings.Repeat("x", 4084), "uid/1000/allow": "", "uid/1000/exec": "exit 0 " + strings.Repeat("\n", 3000)},
	"directories":   {"uid/default/allow/": "", "uid/1000/deny/": ""},
	"env-a-file":    {"uid/default/allow": "", "uid/default/env": "A=1", "uid/1/allow": ""},
	"unreadable":    {"-uid/default/allow": "", "-uid/1000/deny": "", "uid/1/allow": "", "-uid/1/exec": "exit 9", "gid/2/allow": "", "-gid/2/env/A": "x", "gid/1000/allow": "", "-gid/1000/env/": ""},
	"no-entry":      {"-uid/1000/": "", "-gid/": "", "uid/default/allow": ""},
	"unsearchable":  {"-uid/": ""},
}

// writeRuleSets writes sets of rules to dir, and what s6 compiles of each, if it does,
// to a file beside it.
func writeRuleSets(t testing.TB, dir string, sets map[string]map[string]string) {
	t.Helper()
	compile := installed(t, "s6-accessrules-cdb-from-fs", "s6")
	for set, files := range sets {
		closed := make(map[string]bool)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			path := filepath.Join(dir, set, strings.TrimPrefix(name, "-"))
			if name[0] == '-' {
				closed[path] = true
			}
			directory := path
			if !strings.HasSuffix(name, "/") {
				directory = filepath.Dir(path)
			}
			if err := os.MkdirAll(directory, 0o755); err != nil {
				t.Fatal(err)
			}
			if directory == path {
				continue
			}
			if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for path := range closed {
			if err := os.Chmod(path, 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(path, 0o755) })
		}
		file := filepath.Join(dir, set+".cdb")
		if out, err := exec.Command(compile, file, filepath.Join(dir, set)).CombinedOutput(); err != nil {
			t.Logf("%s: %s", set, out)
			continue
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// records returns a database of keys and values, in pairs.
func records(t *testing.T, pairs ...string) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cdb.NewWriter(f)
	for pair := range slices.Chunk(pairs, 2) {
		if err := w.Add([]byte(pair[0]), []byte(pair[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// plainAllow is a record that accepts and says no more.
const plainAllow = "A\x00\x00\x00\x00"

// oddRecords are values of a record, of which some are in order.
var oddRecords = []string{
	"D", "DD", "Dxxxxxx", "D" + strings.Repeat("x", 8196), "D" + strings.Repeat("x", 8197),
	"", "X", "d", "a\x00\x00\x00\x00", "\x00", "X" + strings.Repeat("x", 8196), "X" + strings.Repeat("x", 8197),
	plainAllow, "A", "A\x00", "A\x00\x00", "A\x00\x00\x00", plainAllow + "x", "A\x00\x00\x00\x02x", "A\x00\x00\xff\xff", "A\xff\xff\x00\x00",
	"A\x00\x04A=1\x00\x00\x00", "A\x00\x02A\x00\x00\x00", "A\x00\x03A=\x00\x00\x00", "A\x00\x05A=1\x00\x00\x00",
	"A\x10\x00" + strings.Repeat("B=1\x00", 1024) + "\x00\x00", "A\x10\x04" + strings.Repeat("B=1\x00", 1025) + "\x00\x00",
	"A\x00\x00\x10\x00" + strings.Repeat(" ", 4090) + "exit 3", "A\x00\x00\x10\x01" + strings.Repeat(" ", 4091) + "exit 3",
	"A\x00\x00\x00\x06env -0", "A\x00\x00\x00\x08env -0\x00x", "A\x00\x00\x00\x01\x00",
	"A\x00\x0cA=2\x00B=1\x00B=2\x00\x00\x00", "A\x00\x06A\x00A=2\x00\x00\x00", "A\x00\x09IPCREMOTE\x00",
}

// headerEntry is where the header says which table has a key.
func headerEntry(key string) int {
	h := uint32(5381)
	for i := range len(key) {
		h = h*33 ^ uint32(key[i])
	}
	return int(h%256) * 8
}

// damaged returns a database whose rule for uid 1000 cannot be read, with uid/default
// accepting, by name of the damage.
func damaged(t *testing.T) map[string][]byte {
	good := records(t, "uid/1000", plainAllow, "uid/default", plainAllow)
	entry := headerEntry("uid/1000")
	table := int(binary.LittleEndian.Uint32(good[entry:]))
	slot := table // the one in use of two
	if binary.LittleEndian.Uint32(good[slot+4:]) == 0 {
		slot += 8
	}
	with := func(position int, value uint32) []byte {
		data := slices.Clone(good)
		binary.LittleEndian.PutUint32(data[position:], value)
		return data
	}
	return map[string][]byte{
		"empty":          nil,
		"half-a-header":  good[:1000],
		"header-only":    good[:2048],
		"cut-in-table":   good[:table+4],
		"table-far-away": with(entry, 0xfffffff0),
		"many-slots":     with(entry+4, 0xffffffff),
		"record-far":     with(slot+4, 0xfffffff0),
		"value-too-long": with(2048+4, 4000),
	}
}

// sockets returns descriptors for use as standard input: what a socket is bound to
// decides the environment. They are as many as a shell can name, 3 to 9, and the last
// is of the internet.
func sockets(t *testing.T, dir string) (names []string, files []*os.File) {
	t.Helper()
	add := func(name string, fd int) {
		f := os.NewFile(uintptr(fd), name)
		names, files = append(names, name), append(files, f)
		t.Cleanup(func() { f.Close() })
	}
	socket := func(family int, address unix.Sockaddr) int {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, address)
		}
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	for _, length := range []int{len(dir) + 3, 99, 100, 107} {
		path := dir + "/s" + strings.Repeat("s", length-len(dir)-2)
		add(path, socket(unix.AF_UNIX, &unix.SockaddrUnix{Name: path}))
	}
	add("abstract", socket(unix.AF_UNIX, &unix.SockaddrUnix{Name: "@credrpc-access-test-" + filepath.Base(dir)}))
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(pair[1])
	add("unbound", pair[0])
	add("internet", socket(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return names, files
}

// users are those as whom the questions are asked: root, who may read everything,
// and somebody, or whoever runs the tests.
func users() map[string]*syscall.Credential {
	if os.Geteuid() != 0 {
		return map[string]*syscall.Credential{"whoever this is": nil}
	}
	return map[string]*syscall.Credential{"root": nil, "uid 1000": {Uid: 1000, Gid: 1000, NoSetGroups: false}}
}
