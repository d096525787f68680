package main

import (
	"bytes"
	"flag"
	"go/parser"
	"go/token"
	"os"
	"testing"

	"credrpc/internal/manpage"
)

//go:generate go test -run ^TestManual$ . -update

var update = flag.Bool("update", false, "write the manual page instead of comparing it")

// TestManual checks that the manual page is this program's documentation. "go
// generate ./cmd/..." makes it anew.
func TestManual(t *testing.T) {
	const path = "../../docs/man/credrpc-access.1"
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := manpage.WriteComment(&page, "credrpc-access", "1", file.Doc.Text()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page.Bytes(), want) {
		t.Error(path + ` is out of date; run "go generate ./cmd/..."`)
	}
}
