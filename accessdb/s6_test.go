package accessdb

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credrpc/accessdb/cdb"
)

// program returns a program of a Debian package, or skips the test.
func program(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatalf("%s of the Debian package %s is not installed", name, debianPackage)
		}
		t.Skipf("%s of the Debian package %s is not installed", name, debianPackage)
	}
	return path
}

// randomRules makes a directory of random rules, among them ones that decide
// nothing, and such as exist only for others than uids and gids.
func randomRules(t testing.TB, random *rand.Rand, dir string) {
	t.Helper()
	kinds := map[string][]string{
		"uid": {"self", "default", "0", "1", "2", "3", "1000", "2147483648", "4294967294", "007", ".hidden"},
		"gid": {"self", "default", "0", "1", "2", "3", "1000"},
		"ip4": {"127.0.0.1_32"},
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, name := range kinds[kind] {
			if random.IntN(3) == 0 || (name == "default" && random.IntN(2) == 0) {
				continue
			}
			randomRule(t, random, filepath.Join(dir, kind, name))
		}
	}
}

func randomRule(t testing.TB, random *rand.Rand, dir string) {
	t.Helper()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	verdict := random.IntN(8)
	if verdict < 5 {
		write("allow", "")
	}
	if verdict >= 4 && verdict < 7 {
		write("deny", "why")
	}
	if random.IntN(2) == 0 {
		values := []string{
			"", "\n", "plain", "plain\n", "trailing \t\r\nsecond line", " leading", "\x00zero\x00bytes\x00\n",
			"= and =", "\r\n", "ünïcode", "tab\tinside\n", strings.Repeat("long ", 200), "\n\n", " \t",
		}
		names := []string{"A", "B", "HOME", "with space", "lower", "Z=skipped", ".skipped", "IPCREMOTEEUID", "PROTO", "ünïcode"}
		for range random.IntN(4) {
			write("env/"+names[random.IntN(len(names))], values[random.IntN(len(values))])
		}
	}
	if random.IntN(4) == 0 {
		lines := []string{"env -0 EXECUTED=1", "env -0 EXECUTED=2\n", "env -0 EXECUTED=3\x00ignored", "", "\n", "  env -0 EXECUTED=4 # comment\n"}
		write("exec", lines[random.IntN(len(lines))])
	}
}

// randomCaller prefers ids for which there are rules.
func randomCaller(random *rand.Rand) (uid, gid uint32) {
	ids := []uint32{0, 1, 2, 3, 1000, 7, 2147483647, 2147483648, 4294967294}
	return ids[random.IntN(len(ids))], ids[random.IntN(len(ids))]
}

// baseEnv is the environment that both programs start from.
func baseEnv(uid, gid uint32) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nowhere", "A=before", "PROTO=IPC",
		fmt.Sprintf("IPCREMOTEEUID=%d", uid), fmt.Sprintf("IPCREMOTEEGID=%d", gid),
	}
}

// s6Case is one question to s6-ipcserver-access.
type s6Case struct {
	flag, rules string // -i directory or -x file
	uid, gid    uint32
}

// askS6 has a shell run s6-ipcserver-access for each case, with "env -0" as the
// program, and returns for each its output and exit code.
func askS6(t testing.TB, access string, cases []s6Case) []string {
	t.Helper()
	const end = "\x00--end-of-case--"
	var script strings.Builder
	fmt.Fprintf(&script, "PROTO=IPC; A=before; HOME=/nowhere; export PROTO A HOME; unset PWD OLDPWD _\n")
	for _, c := range cases {
		fmt.Fprintf(&script, "IPCREMOTEEUID=%d IPCREMOTEEGID=%d %s -v0 -l local %s %s env -0\n",
			c.uid, c.gid, access, c.flag, c.rules)
		fmt.Fprintf(&script, "printf 'exit %%d\\0--end-of-case--' $?\n")
	}
	sh := exec.Command("/bin/sh")
	sh.Stdin = strings.NewReader(script.String())
	sh.Env = []string{"PATH=" + os.Getenv("PATH")}
	var stderr bytes.Buffer
	sh.Stderr = &stderr
	out, err := sh.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.Bytes())
	}
	answers := strings.Split(string(out), end)
	if len(answers) != len(cases)+1 {
		t.Fatalf("%d answers for %d cases: %s", len(answers)-1, len(cases), stderr.Bytes())
	}
	return answers[:len(cases)]
}

// answerAs says what a Result means in the words of askS6.
func answerAs(result Result, err error, uid, gid uint32) string {
	if err != nil {
		return "exit 111"
	}
	if result.Decision != Allow {
		return "exit 1"
	}
	env := result.Env.Apply(baseEnv(uid, gid))
	env = append(remove(env, "IPCLOCALPATH"), "IPCLOCALPATH=local")
	if command := result.Command(); command != nil {
		line := strings.TrimSpace(command[2])
		marker, executes := strings.CutPrefix(strings.TrimSuffix(line, " # comment"), "env -0 ")
		if !executes {
			return "exit 0" // an empty command line does nothing
		}
		env = append(env, marker)
	}
	return normalize(strings.Join(env, "\x00") + "\x00exit 0")
}

// normalize sorts the variables of an answer, and leaves out those that shells and
// execlineb set.
func normalize(answer string) string {
	parts := strings.Split(answer, "\x00")
	last := parts[len(parts)-1]
	env := slices.DeleteFunc(parts[:len(parts)-1], func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "PWD" || name == "OLDPWD" || name == "_" || name == "SHLVL"
	})
	slices.Sort(env)
	return strings.Join(append(env, last), "\x00")
}

// TestSameAnswersAsS6 compares decisions, environment and exec with those of
// s6-ipcserver-access, for random rules and callers, from the directory and from
// the file that s6 compiles of it.
func TestSameAnswersAsS6(t *testing.T) {
	access := program(t, "s6-ipcserver-access", "s6")
	compiler := program(t, "s6-accessrules-cdb-from-fs", "s6")
	program(t, "execlineb", "execline")
	sets, callers := 125, 80 // 10,000 cases, each in both forms
	if testing.Short() {
		sets = 5
	}
	random := rand.New(rand.NewPCG(3, 141))
	var decisions [3]int
	withEnv, withExec := 0, 0
	for set := range sets {
		dir := filepath.Join(t.TempDir(), "rules")
		file := dir + ".cdb"
		randomRules(t, random, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(compiler, file, dir).CombinedOutput(); err != nil {
			t.Fatalf("set %d: %v: %s", set, err, out)
		}
		var cases []s6Case
		for range callers {
			uid, gid := randomCaller(random)
			cases = append(cases, s6Case{"-i", dir, uid, gid}, s6Case{"-x", file, uid, gid})
		}
		answers := askS6(t, access, cases)
		dbs := map[string]*DB{
			"-i": openQuiet(t, dir, Options{Compatible: true}),
			"-x": openQuiet(t, file, Options{Compatible: true}),
		}
		for i, c := range cases {
			result, err := dbs[c.flag].Check(c.uid, c.gid)
			if want, got := normalize(answers[i]), answerAs(result, err, c.uid, c.gid); got != want {
				t.Fatalf("set %d, uid %d, gid %d, %s: rule %s\nwant %q\ngot  %q",
					set, c.uid, c.gid, c.flag, result.Key, want, got)
			}
			decisions[result.Decision]++
			if !result.Env.IsZero() {
				withEnv++
			}
			if result.Exec != "" {
				withExec++
			}
		}
	}
	t.Logf("%d not found, %d denied, %d allowed, of these %d with env, %d with exec",
		decisions[NotFound], decisions[Deny], decisions[Allow], withEnv, withExec)
	if sets > 100 && (slices.Min(decisions[:]) < 500 || withEnv < 500 || withExec < 500) {
		t.Error("the rules are too uniform to show anything")
	}
}

// records returns the records of a file, sorted, the entries of each environment
// too: s6 writes them in the order of the directory.
func records(t testing.TB, path string) []Rule {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := cdb.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	var rules []Rule
	for key, value := range r.All() {
		rule, err := decodeRule(key, value)
		if err != nil {
			t.Fatal(err)
		}
		rule.Env = sortedEnv(t, rule.Env)
		rules = append(rules, rule)
	}
	slices.SortFunc(rules, func(a, b Rule) int { return cmp.Compare(a.Key, b.Key) })
	return rules
}

func sortedEnv(t testing.TB, env Env) Env {
	t.Helper()
	modifications := slices.SortedFunc(env.All(), func(a, b Modification) int { return cmp.Compare(a.Name, b.Name) })
	sorted, err := NewEnv(modifications...)
	if err != nil {
		t.Fatal(err)
	}
	return sorted
}

// tree returns the files of a directory with their contents, and its directories.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			files[name+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		files[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestSameFilesAsS6 compiles and takes apart with ours and with s6's programs.
func TestSameFilesAsS6(t *testing.T) {
	compiler := program(t, "s6-accessrules-cdb-from-fs", "s6")
	decompiler := program(t, "s6-accessrules-fs-from-cdb", "s6")
	dumper := program(t, "cdb", "tinycdb")
	random := rand.New(rand.NewPCG(27, 18))
	run := func(name string, arguments ...string) []byte {
		t.Helper()
		out, err := exec.Command(name, arguments...).Output()
		if err != nil {
			t.Fatalf("%s %q: %v", name, arguments, err)
		}
		return out
	}
	sets := 100
	if testing.Short() {
		sets = 5
	}
	for set := range sets {
		base := t.TempDir()
		dir, ours, theirs := base+"/rules", base+"/ours.cdb", base+"/theirs.cdb"
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		randomRules(t, random, dir)
		if err := Compile(dir, ours, 0o600); err != nil {
			t.Fatal(err)
		}
		run(compiler, theirs, dir)
		want := records(t, theirs)
		if got := records(t, ours); !slices.Equal(got, want) {
			t.Fatalf("set %d: compiled records differ:\nwant %q\ngot  %q", set, want, got)
		}
		checkDump(t, run(dumper, "-d", ours), ours)

		// Each decompiler takes the other's file, and each compiler takes it back.
		if err := Decompile(theirs, base+"/by-us"); err != nil {
			t.Fatal(err)
		}
		run(decompiler, base+"/by-them", ours)
		run(compiler, base+"/again.cdb", base+"/by-us")
		if got := records(t, base+"/again.cdb"); !slices.Equal(got, want) {
			t.Fatalf("set %d: s6 compiles other records of our directory:\nwant %q\ngot  %q", set, want, got)
		}
		byUs, byThem := tree(t, base+"/by-us"), tree(t, base+"/by-them")
		for name, content := range byUs {
			byUs[name] = strings.ReplaceAll(content, "\x00", "\n") // s6 writes such a value as two lines
		}
		if !maps.Equal(withoutExec(byUs), withoutExec(byThem)) {
			t.Fatalf("set %d: directories differ:\nwant %q\ngot  %q", set, byThem, byUs)
		}
	}
}

// withoutExec drops the contents of exec files, in which zero bytes stay.
func withoutExec(files map[string]string) map[string]string {
	for name := range files {
		if filepath.Base(name) == "exec" {
			files[name] = ""
		}
	}
	return files
}

// checkDump compares the output of cdb -d with the records in a file.
func checkDump(t testing.TB, out []byte, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := cdb.NewReader(data)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for key, value := range r.All() {
		fmt.Fprintf(&want, "+%d,%d:%s->%s\n", len(key), len(value), key, value)
	}
	want.WriteByte('\n')
	if !bytes.Equal(out, want.Bytes()) {
		t.Fatalf("cdb -d prints\n%q, want\n%q", out, want.Bytes())
	}
}
