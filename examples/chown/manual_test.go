package chown

import (
	"bytes"
	"flag"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"credrpc/internal/manpage"
)

//go:generate go test -run ^TestManuals$ . -update

var update = flag.Bool("update", false, "write the manual pages instead of comparing them")

// TestManuals checks that the manual pages are the programs' documentation, and name every
// flag. "go generate ./examples/..." makes them anew.
func TestManuals(t *testing.T) {
	for name, section := range map[string]string{"credrpc-takeown": "1", "credrpc-chownd": "8"} {
		file, err := parser.ParseFile(token.NewFileSet(), name+"/main.go", nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		var page bytes.Buffer
		if err := manpage.WriteComment(&page, name, section, file.Doc.Text()); err != nil {
			t.Fatal(err)
		}
		path := "../../docs/man/" + name + "." + section
		if *update {
			if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || !bytes.Equal(page.Bytes(), want) {
			t.Errorf(`%v: %s is out of date; run "go generate ./examples/..."`, err, path)
		}
		source, err := os.ReadFile(name + "/main.go")
		if err != nil {
			t.Fatal(err)
		}
		flags := regexp.MustCompile(`flags\.\w+\((?:&[\w.]+, )?"(\w+)"`).FindAllSubmatch(source, -1)
		for _, f := range flags {
			if !strings.Contains(file.Doc.Text(), "  - --"+string(f[1])+" ") {
				t.Errorf("%s: the page does not have --%s", name, f[1])
			}
		}
		if want := map[string]int{"1": 3, "8": 4}[section]; len(flags) != want {
			t.Errorf("%s: %d flags found, want %d", name, len(flags), want)
		}
	}
}
