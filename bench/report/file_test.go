package report

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestFile reads what was written, and refuses anything else.
func TestFile(t *testing.T) {
	r := example(t)
	for i := range r.Runs {
		r.Runs[i].At = float64(i % 3)
	}
	r.Axis, r.Settings = &Axis{Name: "callers", Logarithmic: true}, []Setting{{"rules", "7"}}
	if err := r.Summarise(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	f := &File{Format: Format, Command: "suite", Reports: []*Report{r}}
	if err := f.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, f) {
		t.Errorf("%+v\nwant\n%+v", got.Reports[0], r)
	}
	for _, text := range []string{"", "{}", `{"format": 1}`, `{"format": 2, "reports": 5}`, "[]"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadFile(path); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ReadFile(path + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestAxis compares servers at each value of the axis.
func TestAxis(t *testing.T) {
	r := example(t)
	var runs []Run
	for _, at := range []float64{10, 2} {
		for _, run := range r.Runs {
			run.At = at
			if run.Server == "eventloop" {
				run.CallsPerSecond /= at
			}
			runs = append(runs, run)
		}
	}
	r.Runs, r.Servers[3].Against = runs, "floor-1"
	if err := r.Summarise(); err != nil {
		t.Fatal(err)
	}
	if len(r.Summaries) != 2*2*4 || r.Summaries[0].At != 2 || r.Summaries[4].At != 10 {
		t.Fatalf("%d summaries, %+v", len(r.Summaries), r.Summaries[0])
	}
	for _, s := range r.Summaries {
		if want := 0.9 / s.At; s.Server == "eventloop" && s.Load == r.Loads[0] && !near(s.TimesFloor, want, want, want) {
			t.Errorf("at %v: %v", s.At, s.TimesFloor)
		}
	}
	pairs := 0
	for _, p := range r.Pairs {
		if p.Server == "eventloop" && p.Load == r.Loads[0] {
			pairs++
			if want := 0.9 / p.At; p.Throughput == nil || p.Throughput.Median != want || p.Against != "floor-1" {
				t.Errorf("at %v: %v", p.At, p.Throughput)
			}
		}
	}
	if pairs != 2 || len(r.Pairs) != len(r.Summaries) {
		t.Errorf("%d pairs, %d of the event loop", len(r.Pairs), pairs)
	}
}
