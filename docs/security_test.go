// Package docs has no code, only a test of what the documents say.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSecurityNamesTests checks that every test that SECURITY.md names exists: a
// defence whose test is gone is a promise.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z][a-z0-9/-]*)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	seen := make(map[string]bool)
	for _, name := range named {
		if seen[name[0]] {
			continue
		}
		seen[name[0]] = true
		if !declared(t, filepath.Join("..", name[1]), name[2]) {
			t.Errorf("%s: there is no such test", name[0])
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d names of tests were found", len(seen))
	}
	// Whatever looks like a test is written so that it is checked.
	for _, word := range regexp.MustCompile(`[^\s|,()]*\b(?:Test|Fuzz)[A-Z]\w*[^\s|,()]*`).FindAllString(string(text), -1) {
		if !seen[regexp.MustCompile("`[^`]*`").FindString(word)] {
			t.Errorf("%s: write `PACKAGE.TEST`", word)
		}
	}
}

// declared reports whether a test file in dir has the function.
func declared(t *testing.T, dir, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^func ` + function + `\([a-z]+ \*testing\.[TF]\)`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declaration.Match(source) {
			return true
		}
	}
	return false
}
