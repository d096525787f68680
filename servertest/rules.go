package servertest

import (
	"path/filepath"
	"testing"

	"credrpc/accessdb"
)

// Rules returns access rules for [server.Server.Access], from a compiled file as in
// production, until the test ends. A rule that no file can have fails the test.
//
//	servertest.Rules(t,
//		accessdb.Rule{Key: "uid/1000", Decision: accessdb.Allow},
//		accessdb.Rule{Key: "gid/50", Decision: accessdb.Deny})
func Rules(tb testing.TB, rules ...accessdb.Rule) *accessdb.DB {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "rules.cdb")
	if err := writeRules(path, rules); err != nil {
		tb.Fatal(err)
	}
	db, err := accessdb.Open(path, accessdb.Options{PollInterval: -1})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

// writeRules makes the file.
func writeRules(path string, rules []accessdb.Rule) error {
	b, err := accessdb.Create(path, 0o600)
	if err != nil {
		return err
	}
	defer b.Close()
	for _, rule := range rules {
		if err := b.Add(rule); err != nil {
			return err
		}
	}
	return b.Commit()
}
