package accessdb

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"credrpc/accessdb/cdb"
)

// names returns what is in a directory.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestCompileReplacesInOneStep(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	path := filepath.Join(out, "rules.cdb")
	writeDirectory(t, dir, map[string]string{"uid/1/allow": ""})
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := Compile(dir, path, 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	b := make([]byte, 10)
	if n, _ := old.Read(b); string(b[:n]) != "old" {
		t.Errorf("the old file became %q", b[:n])
	}
	if got := names(t, out); !slices.Equal(got, []string{"rules.cdb"}) {
		t.Errorf("left behind: %q", got)
	}
}

// TestCompilersRefuseTheSame also shows that a failure leaves nothing behind, keeps
// the old file and names the path.
func TestCompilersRefuseTheSame(t *testing.T) {
	compiler := program(t, "s6-accessrules-cdb-from-fs", "s6")
	rows := append(brokenRules(), []brokenDirectory{
		{"a file in the place of the uid directory", map[string]string{"uid": ""}, "uid"},
		{"a file beside the uid directory", map[string]string{"uid/1/allow": "", "README": ""}, "README"},
		{"an environment of more than 4100 bytes", map[string]string{
			"uid/1/allow": "", "uid/1/env/A": strings.Repeat("a", 2048), "uid/1/env/B": strings.Repeat("b", 2048),
		}, "uid/1"},
	}...)
	for _, row := range rows {
		dir, out := t.TempDir(), t.TempDir()
		path := filepath.Join(out, "rules.cdb")
		writeDirectory(t, dir, row.files)
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Compile(dir, path, 0o600)
		if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, row.path)) {
			t.Errorf("%s: %v", row.name, err)
		}
		if content, _ := os.ReadFile(path); string(content) != "old" || len(names(t, out)) != 1 {
			t.Errorf("%s: the file is %q, the directory has %q", row.name, content, names(t, out))
		}
		if output, err := exec.Command(compiler, path, dir).CombinedOutput(); err == nil {
			t.Errorf("%s: s6 accepts it: %s", row.name, output)
		}
	}
}

// Between 4,097 and 4,100 bytes of environment the compiler of s6 writes a record
// that s6 then refuses to read.
func TestCompileRefusesWhatNobodyReads(t *testing.T) {
	for size, fits := range map[int]bool{4096: true, 4097: false, 4100: false} {
		dir := t.TempDir()
		path := filepath.Join(t.TempDir(), "rules.cdb")
		writeDirectory(t, dir, map[string]string{
			"uid/1/allow": "", "uid/1/env/A": strings.Repeat("a", 2045), "uid/1/env/B": strings.Repeat("b", size-2048-3),
		})
		err := Compile(dir, path, 0o600)
		if fits != (err == nil) || (!fits && !errors.Is(err, ErrRuleTooLarge)) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestCompileErrorsOfTheSystem(t *testing.T) {
	dir := t.TempDir()
	writeDirectory(t, dir, map[string]string{"uid/1/allow": "", "busy/file": ""})
	for name, err := range map[string]error{
		"no rules":                         Compile(filepath.Join(dir, "missing"), filepath.Join(dir, "out"), 0o600),
		"no directory for the file":        Compile(dir, filepath.Join(dir, "missing/out"), 0o600),
		"a directory in the file's place":  Compile(filepath.Join(dir, "uid"), filepath.Join(dir, "busy"), 0o600),
		"a file in the directory's place":  Compile(filepath.Join(dir, "busy/file"), filepath.Join(dir, "out"), 0o600),
		"decompile to a place that exists": Decompile(filepath.Join(dir, "busy/file"), dir),
	} {
		var path *fs.PathError
		var link *os.LinkError
		if !errors.As(err, &path) && !errors.As(err, &link) && !errors.Is(err, ErrNotRules) && err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"busy", "uid"}) {
		t.Errorf("left behind: %q", got)
	}
}

func TestBuilderRefusesKeysThatAreNoPaths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	b, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "/", "uid", "uid/", "/1", "uid/.", "uid/..", "../1", "./1", "uid/1/2", "uid/\x00", "u\x00d/1"} {
		if err := b.Add(Rule{Key: key, Decision: Allow}); !errors.Is(err, ErrInvalidKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
	if err := b.Add(Rule{Key: "uid/1"}); !errors.Is(err, ErrMalformedRule) {
		t.Errorf("a rule without a decision: %v", err)
	}
	if err := b.Add(Rule{Key: "uid/1", Decision: Allow}); err != nil {
		t.Errorf("a good rule afterwards: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 0 {
		t.Errorf("abandoned, and left behind: %q", got)
	}
	if err := b.Add(Rule{Key: "uid/1", Decision: Allow}); err != ErrClosed {
		t.Errorf("Add after Close: %v", err)
	}
	if err := b.AddRecord([]byte("uid/1"), []byte("D")); err != ErrClosed {
		t.Errorf("AddRecord after Close: %v", err)
	}
	if err := b.Commit(); err != ErrClosed {
		t.Errorf("Commit after Close: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close after Close: %v", err)
	}
}

func TestCompileRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.cdb")
	text := "+5,1:uid/1->D\n+5,5:gid/2->" + plainAllow + "\n+5,14:uid/1->A\x00\x04A=1\x00\x00\x05ls\n\x00x\n\n"
	if err := CompileRecords(strings.NewReader(text), path, 0o640); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	want := []Rule{
		{Key: "uid/1", Decision: Deny}, {Key: "gid/2", Decision: Allow},
		{Key: "uid/1", Decision: Allow, Env: env(t, "A=1"), Exec: "ls\n\x00x"},
	}
	var got []Rule
	for rule, err := range openQuiet(t, path, Options{}).Rules() {
		if err != nil {
			t.Error(err)
		}
		got = append(got, rule)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestCompileRecordsRefuses also shows that the file stays as it was.
func TestCompileRecordsRefuses(t *testing.T) {
	const good = "+5,1:uid/1->D\n" // 14 bytes
	name := strings.Repeat("n", 255)
	for what, row := range map[string]struct {
		text string
		want error
		says string
	}{
		"no end":                          {good, cdb.ErrMalformedText, "record 2, byte 14: "},
		"a text that breaks off":          {good + "+5,1:ui", cdb.ErrMalformedText, "record 2, byte 21: "},
		"a key longer than any path":      {good + "+512,1:", cdb.ErrMalformedText, "key longer than 511 bytes"},
		"a value longer than any rule":    {good + "+5,8198:", cdb.ErrMalformedText, "value longer than 8197 bytes"},
		"a key of one part":               {good + "+3,1:uid->D\n\n", ErrInvalidKey, `record 2, byte 14: `},
		"a key that leads out":            {"+4,1:../1->D\n\n", ErrInvalidKey, `record 1, byte 0: accessdb: invalid key: "../1"`},
		"another letter":                  {good + "+5,1:uid/1->d\n\n", ErrUnknownValue, `record 2, byte 14: `},
		"a deny with something behind":    {good + "+5,2:uid/1->Dx\n\n", ErrMalformedRule, `something behind a deny: "uid/1"`},
		"an allow that is cut short":      {good + "+5,1:uid/1->A\n\n", ErrMalformedRule, `length of the environment: "uid/1"`},
		"an empty value":                  {good + "+5,0:uid/1->\n\n", ErrMalformedRule, `no value: "uid/1"`},
		"the longest path, wrong value":   {"+511,1:" + name + "/" + name + "->x\n\n", ErrUnknownValue, "record 1"},
		"a variable without a name":       {"+5,8:uid/1->A\x00\x03=1\x00\x00\x00\n\n", ErrMalformedRule, "NAME=value"},
		"something behind the empty line": {good + "\n" + good, cdb.ErrMalformedText, "record 2, byte 15: "},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "rules.cdb")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CompileRecords(strings.NewReader(row.text), path, 0o600)
		if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v; want %v that says %q", what, err, row.want, row.says)
		}
		if content, _ := os.ReadFile(path); string(content) != "old" || len(names(t, dir)) != 1 {
			t.Errorf("%s: the file is %q, the directory has %q", what, content, names(t, dir))
		}
	}
	if err := CompileRecords(strings.NewReader("\n"), filepath.Join(t.TempDir(), "no/file"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory for the file: %v", err)
	}
}

func TestDecompileAndCompileGiveTheSameRules(t *testing.T) {
	rules := []Rule{
		{Key: "gid/5", Decision: Deny},
		{Key: "uid/1", Decision: Allow, Env: env(t, "A=", "B", "C=a\nb\n", "D=\n", "E== ="), Exec: "echo\x00\n"},
		{Key: "uid/default", Decision: Allow},
	}
	base := t.TempDir()
	writeRules(t, base+"/rules.cdb", rules...)
	if err := Decompile(base+"/rules.cdb", base+"/rules"); err != nil {
		t.Fatal(err)
	}
	if err := Compile(base+"/rules", base+"/again.cdb", 0o600); err != nil {
		t.Fatal(err)
	}
	if got := records(t, base+"/again.cdb"); !slices.Equal(got, rules) {
		t.Errorf("got  %q\nwant %q", got, rules)
	}
}

func TestDecompileRefusesAndRemovesWhatItMade(t *testing.T) {
	for name, row := range map[string]struct {
		pairs []string
		want  error
	}{
		"a key that leads out":               {[]string{"../escaped/x", "D"}, ErrInvalidKey},
		"a key that is an absolute path":     {[]string{"/tmp/escaped", "D"}, ErrInvalidKey},
		"a key of one part":                  {[]string{"uid", "D"}, ErrInvalidKey},
		"a key of three parts":               {[]string{"uid/1/env", "D"}, ErrInvalidKey},
		"a repeated key":                     {[]string{"uid/1", "D", "uid/1", plainAllow}, ErrNoDirectoryForm},
		"an unknown value":                   {[]string{"uid/1", "d"}, ErrUnknownValue},
		"a malformed value":                  {[]string{"ip4/1", "A\x00"}, ErrMalformedRule},
		"a malformed value of a uid":         {[]string{"uid/1", "A\x00"}, ErrMalformedRule},
		"a variable that leads out":          {[]string{"uid/1", "A\x00\x0f../../../esc=x\x00\x00\x00"}, ErrNoDirectoryForm},
		"a variable that begins with a dot":  {[]string{"uid/1", "A\x00\x04.a=\x00\x00\x00"}, ErrNoDirectoryForm},
		"a variable that occurs twice":       {[]string{"uid/1", "A\x00\x04a\x00a\x00\x00\x00"}, ErrNoDirectoryForm},
		"a value that ends with a blank":     {[]string{"uid/1", "A\x00\x05a=b \x00\x00\x00"}, ErrNoDirectoryForm},
		"a value that ends with blank lines": {[]string{"uid/1", "A\x00\x06a=\n\t \x00\x00\x00"}, ErrNoDirectoryForm},
	} {
		base := t.TempDir()
		writeRecords(t, base+"/rules.cdb", append([]string{"gid/9", "D"}, row.pairs...)...)
		err := Decompile(base+"/rules.cdb", base+"/rules")
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		if got := names(t, base); !slices.Equal(got, []string{"rules.cdb"}) {
			t.Errorf("%s: left behind: %q", name, got)
		}
	}
	base := t.TempDir()
	if err := os.WriteFile(base+"/rules.cdb", []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Decompile(base+"/rules.cdb", base+"/rules"); !errors.Is(err, cdb.ErrMalformed) {
		t.Errorf("no database: %v", err)
	}
	writeDirectory(t, base, map[string]string{"other/uid/1/allow": ""})
	if err := Decompile(base+"/other", base+"/rules"); !errors.Is(err, unix.EISDIR) || !strings.Contains(err.Error(), base+"/other") {
		t.Errorf("a directory in the file's place: %v", err)
	}
	writeRules(t, base+"/rules.cdb", Rule{Key: "uid/1", Decision: Deny})
	writeDirectory(t, base, map[string]string{"rules/keep": "me"})
	if err := Decompile(base+"/rules.cdb", base+"/rules"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory that exists: %v", err)
	}
	if got := tree(t, base+"/rules"); !maps.Equal(got, map[string]string{"./": "", "keep": "me"}) {
		t.Errorf("a directory that exists became %q", got)
	}
}
