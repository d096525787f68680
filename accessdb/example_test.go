package accessdb_test

import (
	"fmt"
	"os"
	"path/filepath"

	"credrpc/accessdb"
)

// A server opens its rules once and asks at every call.
func Example() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"uid/1000/allow", "uid/1001/deny", "gid/100/allow"} {
		path := filepath.Join(dir, "rules", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			fmt.Println(err)
			return
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			fmt.Println(err)
			return
		}
	}
	file := filepath.Join(dir, "rules.cdb")
	if err := accessdb.Compile(filepath.Join(dir, "rules"), file, 0o644); err != nil {
		fmt.Println(err)
		return
	}

	db, err := accessdb.Open(file, accessdb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	for _, uid := range []uint32{1000, 1001, 1002} {
		for _, gid := range []uint32{100, 200} {
			result, err := db.Check(uid, gid)
			fmt.Println(uid, gid, result.Decision, result.Key, err)
		}
	}
	// Output:
	// 1000 100 allow uid/1000 <nil>
	// 1000 200 allow uid/1000 <nil>
	// 1001 100 deny uid/1001 <nil>
	// 1001 200 deny uid/1001 <nil>
	// 1002 100 allow gid/100 <nil>
	// 1002 200 not found  <nil>
}

// Rules that come from elsewhere, a directory service say, need no directory.
func ExampleCreate() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "rules.cdb")

	b, err := accessdb.Create(file, 0o644)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	env, err := accessdb.NewEnv(
		accessdb.Modification{Name: "ROLE", Value: "operator"},
		accessdb.Modification{Name: "DEBUG", Unset: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, rule := range []accessdb.Rule{
		{Key: "uid/1000", Decision: accessdb.Allow, Env: env},
		{Key: "uid/default", Decision: accessdb.Deny},
	} {
		if err := b.Add(rule); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := b.Commit(); err != nil {
		fmt.Println(err)
		return
	}

	db, err := accessdb.Open(file, accessdb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	result, err := db.Check(1000, 1000)
	fmt.Println(result.Decision, result.Env.Apply([]string{"HOME=/", "DEBUG=1"}), err)
	// Output: allow [HOME=/ ROLE=operator] <nil>
}

// Explain is for those who wonder why somebody may or may not call.
func ExampleDB_Explain() {
	dir, err := os.MkdirTemp("", "rules")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(filepath.Join(dir, "gid/100/allow"), 0o755); err != nil {
		fmt.Println(err)
		return
	}
	db, err := accessdb.Open(dir, accessdb.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	result, tried, err := db.Explain(54321, 100)
	for _, attempt := range tried {
		fmt.Println("tried", attempt.Key, attempt.Decision)
	}
	fmt.Println(result.Decision, err)
	// Output:
	// tried uid/54321 not found
	// tried gid/100 allow
	// allow <nil>
}
