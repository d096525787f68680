package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"credrpc/bench/page"
)

// TestReport makes a page and plots of what the comparison wrote.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if out, err := run(t, append(tiny, "--servers", "eventloop,reference", "--json", at("r.json"))...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(at("page.html"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "report", at("r.json"), "--out", at("page.html"), "--plots", at("plots"), "--markdown")
	if err != nil || strings.Count(out, "\n") != 2+2*2 || !strings.Contains(out, "| t2 | credrpc, handler may block (default) | ") {
		t.Errorf("%v\n%s", err, out)
	}
	html, err := os.ReadFile(at("page.html"))
	if err != nil || !bytes.Contains(html, []byte("eventloop")) || !bytes.HasSuffix(html, []byte("</html>\n")) {
		t.Errorf("%v, %d bytes", err, len(html))
	}
	for _, name := range []string{"throughput", "cpu", "percentiles-b4x1", "percentiles-t2"} {
		for _, extension := range []string{".svg", ".png"} {
			if plots, _ := filepath.Glob(at("plots/*-" + name + extension)); len(plots) != 1 {
				t.Errorf("%s%s: %q", name, extension, plots)
			}
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3 {
		t.Errorf("%v, %v", left, err)
	}
}

// TestReportPipe writes to what is no file.
func TestReportPipe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(file, []byte(`{"format": 2, "reports": [{"name": "none"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "report", file, "--out", "/dev/stdout")
	if err != nil || !strings.Contains(out, "No run was finished.") {
		t.Errorf("%v\n%.300s", err, out)
	}
}

// TestReportWrong writes nothing if a file cannot be read.
func TestReportWrong(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"good.json": `{"format": 2, "reports": [{"name": "none"}]}`,
		"old.json":  `{"servers": []}`,
		"none.json": `{"format": 2}`,
	} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"old.json": "old.json has format 0", "none.json": "none.json has no report; make it anew", "absent.json": "absent.json"} {
		cmd, _ := command(t, "report", at("good.json"), at(name), "--out", at("page.html"), "--plots", at("plots"))
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	cmd, _ := command(t, "report", at("good.json"), "--markdown")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("the table is for results that compare servers")) {
		t.Errorf("a table of nothing: %v\n%s", err, out)
	}
	if left, err := os.ReadDir(dir); len(left) != 3 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
}

// What surrounds the table in the README: made by the command that the first line names.
const (
	tableBegins = "<!-- credrpc-bench report bench/results/quick.json --markdown -->\n"
	tableEnds   = "<!-- end -->\n"
)

// TestREADME has the table that the command makes of the result file. As long as the
// file is of an older format, the README must not say that the table is made of it.
func TestREADME(t *testing.T) {
	const root = "../../"
	readme, err := os.ReadFile(root + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, marked := strings.Cut(string(readme), tableBegins)
	sources, err := page.Read([]string{root + "bench/results/quick.json"})
	switch {
	case err != nil && !marked:
		return // both of the older format
	case err != nil:
		t.Fatalf("the README has the line %sbut %v", tableBegins, err)
	case !marked:
		t.Fatalf("bench/results/quick.json can be read, so the README's table must stand between the lines\n%s%s", tableBegins, tableEnds)
	}
	table, _, ends := strings.Cut(rest, tableEnds)
	var want bytes.Buffer
	if err := page.WriteMarkdown(&want, sources); err != nil {
		t.Fatal(err)
	}
	if !ends || table != want.String() {
		t.Errorf("the README has\n%.3000s\nbut credrpc-bench report bench/results/quick.json --markdown prints\n%s", table, &want)
	}
}
