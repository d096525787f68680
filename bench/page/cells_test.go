package page

import (
	"math"
	"slices"
	"testing"

	"credrpc/bench/measure"
	"credrpc/bench/report"
)

// TestCommon has servers that were at the same values of the axis, at some of each
// other's, and at none.
func TestCommon(t *testing.T) {
	for _, tt := range []struct {
		floor, eventloop, want []float64
	}{
		{[]float64{1, 4}, []float64{1, 4}, []float64{1, 4}},
		{[]float64{100, 200, 300, 900}, []float64{100, 150, 300, 400}, []float64{100, 300}},
		{[]float64{100}, []float64{200}, []float64{100, 200}},
	} {
		var f family
		for kind, values := range map[string][]float64{"floor": tt.floor, "eventloop": tt.eventloop} {
			for _, at := range values {
				f.cells = append(f.cells, cell{Summary: &report.Summary{At: at}, kind: kind})
			}
		}
		if got := f.common(); !slices.Equal(got, tt.want) {
			t.Errorf("%v and %v: %v, want %v", tt.floor, tt.eventloop, got, tt.want)
		}
	}
}

// TestResident draws memory where it was looked at, and no zero where it was not.
func TestResident(t *testing.T) {
	idle := report.Run{Idle: &report.Idle{During: measure.Memory{RSS: 3 << 20}}}
	process := report.Run{Process: &measure.Usage{MemoryAfter: measure.Memory{RSS: 5 << 20}}}
	if resident(&idle) != 3 || resident(&process) != 5 || !math.IsNaN(resident(&report.Run{})) {
		t.Errorf("%v, %v, %v", resident(&idle), resident(&process), resident(&report.Run{}))
	}
}
