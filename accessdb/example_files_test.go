package accessdb_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"credrpc/accessdb"
	"credrpc/accessdb/cdb"
)

// rulesDirectory makes a directory of rules for an example, of files with text.
func rulesDirectory(files map[string]string) (dir string, remove func()) {
	parent, err := os.MkdirTemp("", "rules")
	if err != nil {
		log.Fatal(err)
	}
	dir = filepath.Join(parent, "rules")
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	return dir, func() { os.RemoveAll(parent) }
}

// A directory is made a file, which is replaced in one step when the rules have changed.
// Reload is for who cannot wait for the next look at it.
func ExampleCompile() {
	dir, remove := rulesDirectory(map[string]string{"uid/1000/allow": ""})
	defer remove()
	file := dir + ".cdb"
	if err := accessdb.Compile(dir, file, 0o600); err != nil {
		log.Fatal(err)
	}
	db, err := accessdb.Open(file, accessdb.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	result, err := db.Check(1001, 50)
	fmt.Println(result.Decision, err)

	if err := os.MkdirAll(filepath.Join(dir, "gid/50/allow"), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := accessdb.Compile(dir, file, 0o600); err != nil {
		log.Fatal(err)
	}
	if err := db.Reload(); err != nil {
		log.Fatal(err)
	}
	result, err = db.Check(1001, 50)
	fmt.Println(result.Decision, result.Key, err)
	// Output:
	// not found <nil>
	// allow gid/50 <nil>
}

// A directory of rules can be used as it is. Check then reads it each time, which costs
// system calls but no compiling.
func ExampleOpen() {
	dir, remove := rulesDirectory(map[string]string{"uid/1000/allow": "", "uid/1000/env/ROLE": "reader\n"})
	defer remove()
	db, err := accessdb.Open(dir, accessdb.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	result, err := db.Check(1000, 50)
	fmt.Println(result.Decision, result.Key, err)
	for m := range result.Env.All() {
		fmt.Printf("%s=%s unset=%v\n", m.Name, m.Value, m.Unset)
	}
	// Output:
	// allow uid/1000 <nil>
	// ROLE=reader unset=false
}

// Lint finds what is probably not meant, such as a variable that the loader obeys.
func ExampleLint() {
	dir, remove := rulesDirectory(map[string]string{"uid/1000/allow": "", "uid/1000/env/LD_PRELOAD": "/tmp/lib.so\n"})
	defer remove()
	findings, err := accessdb.Lint(dir)
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range findings {
		if f.Kind == accessdb.FindingEnv {
			fmt.Println(f.Kind, f.Subject)
		}
	}
	// Output: env uid/1000
}

// One question, and no DB that stays open: for programs that ask once and end.
func ExampleCheckDirectory() {
	dir, remove := rulesDirectory(map[string]string{"gid/50/allow": "", "uid/default/deny": ""})
	defer remove()
	for _, gid := range []uint32{50, 100} {
		result, err := accessdb.CheckDirectory(dir, accessdb.Options{}, 1000, gid)
		fmt.Println(result.Decision, result.Key, err)
	}
	// Output:
	// allow gid/50 <nil>
	// deny uid/default <nil>
}

// Records in the text form of tinycdb come from any program that can write them.
func ExampleCompileRecords() {
	dir, remove := rulesDirectory(map[string]string{"README": ""})
	defer remove()
	file := dir + ".cdb"
	var text strings.Builder
	for _, rule := range []accessdb.Rule{
		{Key: "uid/1000", Decision: accessdb.Allow},
		{Key: "uid/default", Decision: accessdb.Deny},
	} {
		record, err := accessdb.AppendRecord(nil, rule)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(&text, "+%d,%d:%s->%s\n", len(rule.Key), len(record), rule.Key, record)
	}
	half := text.String()
	text.WriteString("\n") // the empty line at the end says that this is all
	if err := accessdb.CompileRecords(strings.NewReader(text.String()), file, 0o600); err != nil {
		log.Fatal(err)
	}
	result, err := accessdb.CheckFile(file, accessdb.Options{}, 1000, 50)
	fmt.Println(result.Decision, result.Key, err)

	// Without that the rules in force stay.
	err = accessdb.CompileRecords(strings.NewReader(half), file, 0o600)
	fmt.Println(errors.Is(err, cdb.ErrMalformedText))
	// Output:
	// allow uid/1000 <nil>
	// true
}

// All rules, as they stand in the file.
func ExampleDB_Rules() {
	dir, remove := rulesDirectory(map[string]string{
		"uid/1000/allow": "", "uid/1000/env/ROLE": "reader\n", "uid/default/deny": "",
	})
	defer remove()
	db, err := accessdb.Open(dir, accessdb.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	for rule, err := range db.Rules() {
		fmt.Println(rule.Key, rule.Decision, rule.Env.Apply(nil), err)
	}
	// Output:
	// uid/1000 allow [ROLE=reader] <nil>
	// uid/default deny [] <nil>
}

// A file of rules becomes a directory again, to be changed with an editor.
func ExampleDecompile() {
	dir, remove := rulesDirectory(map[string]string{"uid/1000/allow": ""})
	defer remove()
	if err := accessdb.Compile(dir, dir+".cdb", 0o600); err != nil {
		log.Fatal(err)
	}
	again := dir + ".again"
	if err := accessdb.Decompile(dir+".cdb", again); err != nil {
		log.Fatal(err)
	}
	_, err := os.Stat(filepath.Join(again, "uid/1000/allow"))
	fmt.Println(err)
	// Output: <nil>
}

// The changes that a rule makes to the environment of a program.
func ExampleEnv_Apply() {
	env, err := accessdb.NewEnv(
		accessdb.Modification{Name: "ROLE", Value: "operator"},
		accessdb.Modification{Name: "DEBUG", Unset: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(env.Apply([]string{"DEBUG=1", "HOME=/"}))
	// Output: [HOME=/ ROLE=operator]
}

// A rule may name another program to run instead.
func ExampleResult_Command() {
	dir, remove := rulesDirectory(map[string]string{"uid/1000/allow": "", "uid/1000/exec": "echo for this user only"})
	defer remove()
	result, err := accessdb.CheckDirectory(dir, accessdb.Options{}, 1000, 50)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q\n", result.Command())
	// Output: ["execlineb" "-Pc" "echo for this user only"]
}
