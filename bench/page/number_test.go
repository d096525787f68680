package page

import (
	"math"
	"slices"
	"testing"
)

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		show func(float64) string
		v    float64
		want string
	}{
		{figure, 0, "0.00"}, {figure, 9.994, "9.99"}, {figure, 9.996, "10.0"}, {figure, 99.96, "100"}, {figure, 1234567, "1,234,567"},
		{figure, math.NaN(), "–"}, {figure, math.Inf(1), "–"}, {figure, -1500, "−1,500"}, {figure, 1e17, "1e+17"},
		{ratio, 0.0194, "0.019"}, {ratio, 0.5, "0.50"}, {ratio, 1.996, "2.00"},
		{more, 0.5, "+0.50"}, {more, -2, "−2.00"},
		{microseconds, 302.64, "302.6"}, {microseconds, 1999.6, "2,000"}, {microseconds, 7.777, "7.78"},
		{suffixed, 0, "0"}, {suffixed, 200, "200"}, {suffixed, 1500, "1.5k"}, {suffixed, 2e6, "2M"}, {suffixed, 999999, "1M"}, {suffixed, 5e9, "5G"},
		{inThousands, 35999, "36.0k"}, {inThousands, 999.4, "999"}, {inThousands, 49210, "49.2k"}, {inThousands, 1234567, "1,234.6k"},
		{duration, 0.5, "500 ns"}, {duration, 20, "20 µs"}, {duration, 1000, "1 ms"}, {duration, 2.5e6, "2.5 s"},
		{binary, 0, "0 B"}, {binary, 32, "32 B"}, {binary, 1 << 20, "1 MiB"}, {binary, 1536, "1.5 KiB"},
		{percentile, 2, "50 %"}, {percentile, 10, "90 %"}, {percentile, 100, "99 %"}, {percentile, 1e5, "99.999 %"},
	} {
		if got := tt.show(tt.v); got != tt.want {
			t.Errorf("%v is shown as %q, want %q", tt.v, got, tt.want)
		}
	}
}

// TestTicks has ticks at 1, 2 and 5 times powers of ten, the range on ticks, and no
// labels upon one another.
func TestTicks(t *testing.T) {
	labels := func(s *scale) (all []string) {
		for _, tick := range s.Ticks(s.least, s.most) {
			if !tick.IsMinor() {
				all = append(all, tick.Label)
			}
		}
		return all
	}
	for _, tt := range []struct {
		name   string
		scale  scale
		values []float64
		want   []string
	}{
		{"from zero", scale{show: suffixed}, []float64{61000, 43000}, []string{"0", "10k", "20k", "30k", "40k", "50k", "60k", "70k"}},
		{"of little", scale{show: digits}, []float64{0.7}, []string{"0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"}},
		{"of nothing", scale{show: digits}, nil, []string{"2", "4", "6", "8", "10"}},
		{"below zero", scale{show: digits}, []float64{-3, 3}, []string{"-3", "-2", "-1", "0", "1", "2", "3"}},
		{"a decade", scale{show: duration, logarithmic: true}, []float64{30, 300, math.NaN(), -1}, []string{"20 µs", "50 µs", "100 µs", "200 µs", "500 µs"}},
		{"many decades", scale{show: suffixed, logarithmic: true}, []float64{1, 1e6}, []string{"1", "10", "100", "1k", "10k", "100k", "1M"}},
		{"one value", scale{show: suffixed, logarithmic: true}, []float64{10}, []string{"5", "10", "20"}},
	} {
		s := tt.scale
		s.cover(tt.values)
		if got := labels(&s); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	placed := &scale{show: binary, logarithmic: true, at: []float64{32, 64, 128, 256, 512, 1024, 2048, 1 << 20}}
	placed.fit(placed.at)
	if got := labels(placed); !slices.Equal(got, []string{"32 B", "128 B", "512 B", "2 KiB", "1 MiB"}) {
		t.Errorf("at values: %q", got)
	}
}
