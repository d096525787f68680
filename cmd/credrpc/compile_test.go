package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
)

// recordsText is the input of cdb -c for pairs of key and value.
func recordsText(pairs ...string) string {
	var b strings.Builder
	for pair := range slices.Chunk(pairs, 2) {
		fmt.Fprintf(&b, "+%d,%d:%s->%s\n", len(pair[0]), len(pair[1]), pair[0], pair[1])
	}
	return b.String() + "\n"
}

// TestCompileMode checks that the permissions are those asked for, whatever the
// umask is.
func TestCompileMode(t *testing.T) {
	rules := writeRulesDirectory(t, map[string]string{"uid/1/allow": ""})
	for _, umask := range []int{0, 0o022, 0o077} {
		for _, tt := range []struct {
			flags []string
			want  os.FileMode
		}{
			{nil, 0o600}, {[]string{"-m", "644"}, 0o644}, {[]string{"--mode=0440"}, 0o440}, {[]string{"-m0"}, 0},
		} {
			for _, source := range [][]string{{rules}, {"--records", "-"}} {
				file := filepath.Join(tempDir(t), "f")
				args := slices.Concat([]string{"rules", "compile"}, tt.flags, source, []string{file})
				old := syscall.Umask(umask)
				status, out, stderr := result("\n", args...)
				syscall.Umask(old)
				info, err := os.Stat(file)
				if status != exitOK || out != "" || stderr != "" || err != nil || info.Mode() != tt.want {
					t.Errorf("umask %03o, %q: %d, %q, %q, %v", umask, args, status, out, stderr, err)
				}
			}
		}
	}
}

// TestCompileKeepsTheOldFile checks that a text that breaks off changes nothing.
func TestCompileKeepsTheOldFile(t *testing.T) {
	file := filepath.Join(tempDir(t), "rules.cdb")
	text := recordsText("uid/1", "D", "uid/default", "A\x00\x00\x00\x00")
	if status, _, stderr := result(text, "rules", "compile", "--records", "-", file); status != exitOK {
		t.Fatalf("%d, %q", status, stderr)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(text) {
		status, out, stderr := result(text[:cut], "rules", "compile", "--records", "-", file)
		if status != exitSystem || out != "" || !strings.Contains(stderr, "record ") || !strings.Contains(stderr, ", byte ") {
			t.Errorf("cut after %d bytes: %d, %q, %q", cut, status, out, stderr)
		}
	}
	after, err := os.ReadFile(file)
	entries, _ := os.ReadDir(filepath.Dir(file))
	if err != nil || !bytes.Equal(before, after) || len(entries) != 1 {
		t.Errorf("the file changed, or %d files are there: %v", len(entries), err)
	}
}

// randomRules makes a rules directory of which every program understands all.
func randomRules(t *testing.T, random *rand.Rand) string {
	t.Helper()
	files := map[string]string{}
	for range 1 + random.IntN(30) {
		rule := fmt.Sprintf("%s/%d", []string{"uid", "gid", "ip4"}[random.IntN(3)], random.Uint32N(5000))
		if random.IntN(3) == 0 {
			files[rule+"/deny"] = ""
			continue
		}
		files[rule+"/allow"] = ""
		for range random.IntN(4) {
			values := []string{"", "value\n", "a=b c", strings.Repeat("long", 100), "first\nsecond", "\x00zero\x00 \n"}
			files[fmt.Sprintf("%s/env/V%d", rule, random.IntN(10))] = values[random.IntN(len(values))]
		}
		if random.IntN(4) == 0 {
			files[rule+"/exec"] = "echo " + rule
		}
	}
	return writeRulesDirectory(t, files)
}

// TestSameFilesAsOthers takes random rules through the commands of s6 and tinycdb
// and through these: a file compiled by either, taken apart by the other and
// compiled again has the same records, and of the same records becomes the same
// file to the byte.
func TestSameFilesAsOthers(t *testing.T) {
	theirCompiler := installed(t, "s6-accessrules-cdb-from-fs", "s6")
	theirDecompiler := installed(t, "s6-accessrules-fs-from-cdb", "s6")
	cdb := installed(t, "cdb", "tinycdb")
	output := func(stdin []byte, name string, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v", name, args, err)
		}
		return out
	}
	ours := func(stdin []byte, args ...string) {
		t.Helper()
		if status, out, stderr := result(string(stdin), append([]string{"rules"}, args...)...); status != exitOK || out != "" || stderr != "" {
			t.Fatalf("%q: %d, %q, %q", args, status, out, stderr)
		}
	}
	random := rand.New(rand.NewPCG(16, 11))
	for range 30 {
		rules, dir := randomRules(t, random), tempDir(t)
		at := func(name string) string { return filepath.Join(dir, name) }
		ours(nil, "compile", rules, at("ours"))
		output(nil, theirCompiler, at("theirs"), rules)
		ours(nil, "decompile", at("theirs"), at("theirs-by-us"))
		output(nil, theirDecompiler, at("ours-by-them"), at("ours"))
		output(nil, theirCompiler, at("theirs-again"), at("theirs-by-us"))
		ours(nil, "compile", at("theirs-by-us"), at("ours-again"))

		dump := output(nil, cdb, "-d", at("ours"))
		for _, name := range []string{"theirs", "theirs-again", "ours-again"} {
			if !reflect.DeepEqual(recordsOf(t, at(name)), recordsOf(t, at("ours"))) {
				t.Fatalf("%s: other records in %s", rules, name)
			}
		}
		output(dump, cdb, "-c", at("cdb"))
		ours(dump, "compile", "--records", "-", at("records"))
		if err := os.WriteFile(at("dump"), dump, 0o600); err != nil {
			t.Fatal(err)
		}
		ours(nil, "compile", "--records", at("dump"), at("records-of-file"))
		want, err := os.ReadFile(at("cdb"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"records", "records-of-file", "ours"} {
			if got, err := os.ReadFile(at(name)); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: %s is not the file of cdb -c: %v", rules, name, err)
			}
		}
	}
}

// record is a rule as rules list --json has it.
type record struct {
	Key, Decision, Exec, Error string
	Env                        []struct {
		Name, Value string
		Unset       bool
	}
}

// recordsOf returns the rules of a file by key, the variables sorted: s6 has them in
// the order of the directory.
func recordsOf(t *testing.T, file string) map[string]record {
	t.Helper()
	status, out, stderr := result("", "rules", "list", "--json", "--rules", file)
	if status != exitOK {
		t.Fatalf("%d, %q", status, stderr)
	}
	records := make(map[string]record)
	for line := range strings.Lines(out) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sort.Slice(r.Env, func(i, j int) bool { return r.Env[i].Name < r.Env[j].Name })
		records[r.Key] = r
	}
	return records
}
