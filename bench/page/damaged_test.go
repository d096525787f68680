package page

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"credrpc/bench/load"
	"credrpc/bench/report"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A spoiler takes decisions from bytes, zeros when they are used up.
type spoiler struct{ data []byte }

func (s *spoiler) next(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b) % n
}

// spoil replaces a figure by one that no measurement has, or leaves it.
func (s *spoiler) spoil(v *float64) {
	bad := []float64{*v, *v, *v, 0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 5e-324, 1e-17, 1e18}
	*v = bad[s.next(len(bad))]
}

// histogram replaces a histogram by an extreme one, or leaves it.
func (s *spoiler) histogram(t testing.TB, text *string) {
	h := hdrhistogram.New(1, math.MaxInt64/2, 1)
	switch s.next(5) {
	case 0, 1:
		return
	case 2: // empty
	case 3:
		h.RecordValue(1)
	case 4:
		h.RecordValues(math.MaxInt64/4, math.MaxInt64/1024)
	}
	encoded, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	*text = string(encoded)
}

// report spoils a report.
func (s *spoiler) report(t testing.TB, r *report.Report) {
	r.Runs = r.Runs[:len(r.Runs)-s.next(len(r.Runs)+1)]
	for i := range r.Runs {
		run := &r.Runs[i]
		for _, v := range []*float64{&run.CallsPerSecond, &run.At, &run.Latency.P99, &run.Latency.P50, &run.Seconds,
			&run.ServerUserSeconds, &run.ServerSystemSeconds, &run.MachineBusySeconds, &run.MachineIdleSeconds} {
			s.spoil(v)
		}
		s.histogram(t, &run.Histogram)
		s.histogram(t, &run.ServiceHistogram)
		switch s.next(8) {
		case 1:
			run.Process = nil
		case 2:
			run.Calls = 0
		case 3:
			run.Arrivals = nil
		case 4:
			run.Offered = nil
		case 5:
			rate := 1e4
			s.spoil(&rate)
			run.Steps = []load.StepResult{{Rate: rate, Group: run.Group}, {Rate: 5}}
		}
		if run.Arrivals != nil {
			s.spoil(&run.Arrivals.Steps[0].Rate)
		}
	}
	switch s.next(6) {
	case 1:
		r.Axis = nil
	case 2:
		r.Servers = r.Servers[:1]
	case 3:
		r.Loads = nil
	case 4:
		r.Axis = &report.Axis{Name: "x", Logarithmic: true}
	case 5:
		for i := range r.Runs {
			r.Runs[i].At = math.Pow(10, float64(s.next(250)))
		}
	}
}

// copied returns a report that can be spoiled without spoiling r.
func copied(r *report.Report) *report.Report {
	c := *r
	c.Runs = slices.Clone(r.Runs)
	for i := range c.Runs {
		if a := c.Runs[i].Arrivals; a != nil {
			c.Runs[i].Arrivals = &load.Arrivals{Steps: slices.Clone(a.Steps)}
		}
	}
	return &c
}

// FuzzDamaged shows reports with figures that cannot be: there is a page all the same,
// whose plots are well-formed and have no figure that is none.
func FuzzDamaged(f *testing.F) {
	var samples []*report.Report
	for _, r := range []*report.Report{payloadReport(f), callersReport(f), ratesReport(f), secondsReport(f),
		sampleReport(f, "compare", load.Load{Batch: 1, Callers: 16})} {
		r.Runs = slices.DeleteFunc(r.Runs, func(run report.Run) bool { return run.Round%5 > 0 }) // few are faster
		samples = append(samples, r)
	}
	f.Add(uint8(0), []byte{})
	for kind := range uint8(5) {
		for n := range byte(6) {
			f.Add(kind, bytes.Repeat([]byte{n, 5 * n, 3, n + 1, 7 * n}, 40*int(n+1)))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		r := copied(samples[int(kind)%len(samples)])
		(&spoiler{data}).report(t, r)
		file := &report.File{Format: report.Format, Command: "damaged", Reports: []*report.Report{r}}
		p, html := written(t, Source{"damaged.json", file})
		parse(t, html)
		for i, plot := range p.Plots() {
			svg := plot.SVG()
			parse(t, svg)
			if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
				t.Errorf("%s has a figure that is none:\n%.3000s", plot.Name, svg)
			}
			if i == 0 { // the same drawing, and slow
				if _, err := plot.PNG(); err != nil {
					t.Error(err)
				}
			}
		}
		WriteMarkdown(new(bytes.Buffer), []Source{{"damaged.json", file}})
	})
}

// TestOneRun shows a report that could not be shorter.
func TestOneRun(t *testing.T) {
	r := payloadReport(t)
	r.Runs, r.Rounds = r.Runs[:1], 1
	p, html := written(t, Source{"one.json", &report.File{Reports: []*report.Report{r}}})
	if len(p.Plots()) != 1 || !bytes.Contains(html, []byte("1 run of 1 s, in 1 round<")) {
		t.Errorf("%d plots", len(p.Plots()))
	}
}
