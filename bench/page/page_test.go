package page

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"credrpc/bench/report"
)

// element is what a test looks at in a document.
type element struct {
	name       string
	attributes map[string]string
}

// parse reads a document as XML, which both the page and an SVG are, and returns its
// elements and its text.
func parse(t testing.TB, document []byte) (elements []element, text string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(document))
	d.Entity = xml.HTMLEntity
	var all strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return elements, all.String()
		}
		if err != nil {
			t.Fatalf("%v in\n%.2000s", err, document)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := element{token.Name.Local, map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			elements = append(elements, e)
		case xml.CharData:
			all.Write(token)
		}
	}
}

// written returns the page of sources.
func written(t testing.TB, sources ...Source) (*Page, []byte) {
	t.Helper()
	p, err := New(sources)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return p, b.Bytes()
}

// TestPage has every report, server and plot, and refers to nothing outside itself.
func TestPage(t *testing.T) {
	f := sampleFile(t)
	p, html := written(t, Source{"dir/suite.json", f})
	elements, text := parse(t, html)
	ids, drawn := map[string]bool{}, []string{}
	for _, e := range elements {
		if id := e.attributes["id"]; id != "" {
			if ids[id] {
				t.Errorf("id %q comes twice", id)
			}
			ids[id] = true
		}
		if e.name == "svg" {
			drawn = append(drawn, e.attributes["aria-label"])
		}
		if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}, e.name) {
			t.Errorf("there is an element %s", e.name)
		}
		for name, v := range e.attributes {
			if strings.HasPrefix(name, "on") || name == "src" || name == "href" && !strings.HasPrefix(v, "#") {
				t.Errorf("%s=%q of %s", name, v, e.name)
			}
		}
	}
	for _, e := range elements {
		if to := strings.TrimPrefix(e.attributes["href"], "#"); to != "" && !ids[to] {
			t.Errorf("a link to %q leads nowhere", to)
		}
	}
	for _, word := range []string{"url(", "@import", "http:", "https:"} {
		if bytes.Contains(html, []byte(word)) {
			t.Errorf("the page has %q", word)
		}
	}
	var titles []string
	for _, plot := range p.Plots() {
		titles = append(titles, plot.Title)
	}
	if !slices.Equal(drawn, titles) {
		t.Errorf("drawn %q, plots %q", drawn, titles)
	}
	want := []string{"Throughput", "Processor time a call", "Latency by percentile: b32x1", "Latency by percentile: t16",
		"Throughput by payload: t16", "p99 of latency by payload: t16", "Processor time a call by payload: t16", "Memory by payload: t16",
		"Latency by percentile: t16 at 0 B", "Latency by percentile: t16 at 1 MiB",
		"Throughput by callers", "p99 of latency by callers", "Processor time a call by callers", "Memory by callers",
		"Latency by percentile at 1 callers", "Latency by percentile at 64 callers",
		"Throughput by offered rate: t16", "p50 of latency by offered rate: t16", "p99 of latency by offered rate: t16",
		"Processor time a call by offered rate: t16", "Memory by offered rate: t16",
		"Latency by percentile: t16 at 10k calls/s", "Latency by percentile: t16 at 40k calls/s",
		"Throughput by time: t16", "p99 of latency by time: t16", "Processor time a call by time: t16", "Memory by time: t16",
		"Latency by percentile: t16 at 0 s", "Latency by percentile: t16 at 19 s"}
	if !slices.Equal(titles, want) {
		t.Errorf("plots %q\nwant  %q", titles, want)
	}
	for _, r := range f.Reports {
		words := []string{r.Name, r.Machine.Kernel, r.Machine.CPUModel, r.Machine.Commit, "credrpc-bench " + r.Name + " --json 'a file.json'",
			r.Findings[0], r.Notices[0], "2026-11-22 19:24:47 UTC", "rules in the file", "CPU 1.5 %", "Client-bound: says nothing about the server",
			"with each connection", "medians"}
		for _, s := range r.Servers {
			words = append(words, s.Name)
		}
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("the page lacks %q", word)
			}
		}
	}
}

// TestSame makes the same bytes of the same files.
func TestSame(t *testing.T) {
	source := Source{"suite.json", sampleFile(t)}
	render := func() []byte {
		p, html := written(t, source)
		for _, plot := range p.Plots()[1:3] { // both kinds of drawings
			image, err := plot.PNG()
			if err != nil {
				t.Fatal(err)
			}
			html = append(append(html, plot.SVG()...), image...)
		}
		return html
	}
	if !bytes.Equal(render(), render()) {
		t.Error("two pages of one file differ")
	}
}

// TestPlotFiles are well-formed and have their names and sizes.
func TestPlotFiles(t *testing.T) {
	p, _ := written(t, Source{"suite.json", sampleFile(t)})
	names := map[string]bool{}
	for i, plot := range p.Plots() {
		if names[plot.Name] || plot.Name != fileName(plot.Name) || plot.Name == "" {
			t.Errorf("a plot is called %q", plot.Name)
		}
		names[plot.Name] = true
		elements, text := parse(t, plot.SVG())
		if elements[0].name != "svg" || !strings.Contains(text, plot.Title) {
			t.Errorf("%s is no drawing with its title", plot.Name)
		}
		if bytes.Contains(plot.SVG(), []byte("var(")) || bytes.Contains(plot.SVG(), []byte("NaN")) {
			t.Errorf("%s has a variable or NaN", plot.Name)
		}
		if i%4 != 0 {
			continue // images take their time
		}
		image, err := plot.PNG()
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.DecodeConfig(bytes.NewReader(image))
		if err != nil || picture.Width != int(2*plot.width) || picture.Height != int(2*plot.height) {
			t.Errorf("%s: %v, %d times %d", plot.Name, err, picture.Width, picture.Height)
		}
	}
}

// TestHostileText keeps what a file says from being markup, in the page and in plots.
func TestHostileText(t *testing.T) {
	const evil = "<script>alert(1)</script>\"'&\x00\x1b]0;\u202e"
	f := &report.File{Format: report.Format, Command: evil, Reports: []*report.Report{payloadReport(t)}}
	r := f.Reports[0]
	r.Name, r.Title, r.Findings, r.Notices = evil, evil, []string{evil}, []string{evil}
	r.Machine.Kernel, r.Machine.CPUModel, r.Machine.GoVersion, r.Machine.Commit = evil, evil, evil, evil
	r.Machine.CommandLine = []string{evil, "it's"}
	r.Settings = []report.Setting{{Name: evil, Value: evil}}
	r.Axis.Name, r.Axis.Unit = evil, evil
	for i := range r.Servers {
		r.Servers[i].Checks = report.Checks(evil)
		r.Servers[i].Name += evil
		r.Servers[i].Kind += evil
	}
	for i := range r.Runs {
		r.Runs[i].Server += evil
		r.Runs[i].Bottleneck = report.Bottleneck(evil)
		r.Runs[i].FirstError = evil
	}
	p, html := written(t, Source{evil + ".json", f})
	elements, text := parse(t, html)
	for _, e := range elements {
		if e.name == "script" {
			t.Error("a script got into the page")
		}
	}
	for _, r := range text {
		if r == 0 || r == 0x1b || r == 0x202e {
			t.Errorf("the page has the character %U", r)
		}
	}
	for _, plot := range p.Plots() {
		if elements, _ := parse(t, plot.SVG()); slices.ContainsFunc(elements, func(e element) bool { return e.name == "script" }) {
			t.Errorf("a script got into %s", plot.Name)
		}
		if strings.ContainsAny(plot.Name, "/<>\x00 ") {
			t.Errorf("a plot is called %q", plot.Name)
		}
	}
	if got := shellLine([]string{"a b", "it's", "", "--x=1"}); got != `'a b' 'it'\''s' '' --x=1` {
		t.Errorf("the command is %s", got)
	}
}

// TestSeveralFiles tells reports of the same name apart, and keeps the style of a kind.
func TestSeveralFiles(t *testing.T) {
	one, two := sampleFile(t), sampleFile(t)
	one.Reports, two.Reports = one.Reports[:2], two.Reports[:2]
	slices.Reverse(two.Reports[0].Servers)
	p, html := written(t, Source{"a/x.json", one}, Source{"b/x.json", two})
	_, text := parse(t, html)
	for _, want := range []string{"compare (a/x.json)", "compare (b/x.json)", "payload (b/x.json)"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if name := p.Plots()[0].Name; name != "a-x-compare-throughput" {
		t.Errorf("the first plot is %q", name)
	}
	styles := assignStyles(append(one.Reports, two.Reports...))
	colours := map[string]bool{}
	for _, kind := range []string{"floor", "eventloop", "grpc", "reference"} {
		colours[styles[kind].tone().name] = true
	}
	if len(styles) != 4 || len(colours) != 4 {
		t.Errorf("styles %v", styles)
	}
}

// TestManyStyles tells up to 32 kinds apart that meet.
func TestManyStyles(t *testing.T) {
	r := new(report.Report)
	for i := range styleCount {
		r.Servers = append(r.Servers, report.Server{Name: fmt.Sprint(i), Kind: fmt.Sprint(i)})
	}
	seen := map[string]bool{}
	for _, s := range assignStyles([]*report.Report{r}) {
		path, filled := s.marker()
		seen[fmt.Sprint(s.tone().name, path, filled)] = true
	}
	if len(seen) != styleCount {
		t.Errorf("%d of %d look different", len(seen), styleCount)
	}
	r.Servers = append(r.Servers, report.Server{Name: "one more"})
	assignStyles([]*report.Report{r})
}

// TestRead says which file is wrong and what to do.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := json.Marshal(&report.File{Format: report.Format, Reports: []*report.Report{{Name: "empty"}}})
	if err != nil {
		t.Fatal(err)
	}
	good := file("good.json", string(whole))
	for _, tt := range []struct {
		name, text string
		want       error
		says       string
	}{
		{"empty.json", "", report.ErrFormat, "empty.json"},
		{"old.json", `{"format": 1}`, report.ErrFormat, "make it anew"},
		{"cut.json", string(whole[:len(whole)/2]), report.ErrFormat, "cut.json"},
		{"none.json", `{"format": 2, "reports": []}`, ErrEmpty, "none.json"},
		{"null.json", `{"format": 2, "reports": [null]}`, ErrEmpty, "null.json"},
	} {
		if _, err := Read([]string{good, file(tt.name, tt.text)}); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := Read([]string{good, good}); err == nil {
		t.Error("a file may be named twice")
	}
	sources, err := Read([]string{good})
	if err != nil {
		t.Fatal(err)
	}
	if _, html := written(t, sources...); !bytes.Contains(html, []byte("No run was finished.")) {
		t.Error("the page of a report without runs does not say so")
	}
	damaged := sampleFile(t)
	damaged.Reports[1].Runs[3].Histogram = "broken"
	if _, err := New([]Source{{"damaged.json", damaged}}); err == nil || !strings.Contains(err.Error(), "damaged.json") || !strings.Contains(err.Error(), `"payload"`) {
		t.Errorf("a broken histogram: %v", err)
	}
}

// TestImport keeps what draws out of services.
func TestImport(t *testing.T) {
	deps := func(packages ...string) string {
		out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps"}, packages...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	const plot = "gonum.org/v1/plot"
	if got := deps("credrpc/server", "credrpc/client", "credrpc/frame", "credrpc/accessdb/...", "credrpc/cmd/credrpc", "credrpc/cmd/credrpc-access"); strings.Contains(got, plot) {
		t.Error("a service has what only the benchmark needs")
	}
	if !strings.Contains(deps("credrpc/bench/page"), plot) {
		t.Error("the test looks for a package that nobody imports")
	}
}
