package objective

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"credrpc/bench/load"

	"github.com/HdrHistogram/hdrhistogram-go"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"p99<500us,errors<0.01%", "p99<500us,errors<0.01%"},
		{" p99.9 <= 2ms , service.p99 <1s,throughput >= 99.5% ", "p99.9<=2ms,service.p99<1s,throughput>=99.5%"},
		{"errors<=0%,unstarted<1%,max<1m,mean<0.5ms,p50<1us,p90<1us", "errors<=0%,unstarted<1%,max<1m,mean<0.5ms,p50<1us,p90<1us"},
	} {
		o, err := Parse(tt.text)
		if err != nil || o.String() != tt.want {
			t.Errorf("%q: %v, %v", tt.text, o, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", "column 1: it is empty"},
		{"p99<500us,", `column 11: "" is no figure; there are p50 p90 p99 p99.9 max mean service.p50`},
		{"p98<500us", `column 1: "p98" is no figure`},
		{"p99<1ms, error<1%", `column 10: "error" is no figure`},
		{"µ<1ms", `column 1: "µ" is no figure`},
		{"p99", `column 4: p99 needs < or <= before its limit, not ""`},
		{"p99>1ms", `column 4: p99 needs < or <= before its limit, not ">"`},
		{"p99==1ms", `column 4: p99 needs < or <= before its limit, not "=="`},
		{"throughput<1%", `column 11: throughput needs > or >=`},
		{"p99<500", `column 5: "500" is not a duration above 0, such as 500us`},
		{"p99< -1ms", `column 6: "-1ms" is not a duration above 0`},
		{"p99<1%", `column 5: "1%" is not a duration`},
		{"errors<1", `column 8: "1" is not a share from 0% to 100%, such as 0.01%`},
		{"errors<NaN%", "column 8: "},
		{"errors<101%", "column 8: "},
		{"errors<0%", "column 8: nothing is below 0%; say errors<=0%"},
		{"throughput>100%", "column 12: nothing is over 100%; say throughput>=100%"},
		{"p99<1ms,p99<=2ms", "column 9: there is a limit for p99 already"},
	} {
		_, err := Parse(tt.text)
		if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.text, err)
		}
	}
}

// result is that of 10,000 arrivals, 9,990 of them answered in 100 µs.
func result(t *testing.T) *load.Result {
	t.Helper()
	h := hdrhistogram.New(64, int64(60e9), 3)
	if err := h.RecordValues(100_000, 9_990); err != nil {
		t.Fatal(err)
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	r := &load.Result{Offered: &load.Offered{Scheduled: 10_000, Unstarted: 8, PerSecond: 1000}}
	r.Calls, r.Failed, r.CallsPerSecond = 9_990, 2, 990
	r.Histogram, r.ServiceHistogram = string(text), string(text)
	r.Latency = load.Latency{P50: 50, P90: 90, P99: 99, P999: 200, Max: 500}
	r.ServiceTime = load.Latency{P50: 40, P90: 80, P99: 89, P999: 150, Max: 400}
	return r
}

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		text   string
		missed []string
		late   bool
	}{
		{"p50<51us,p90<91us,p99<=99us,p99.9<201us,max<501us,errors<1%", nil, true},
		{"p99<99us,p99.9<=199us,errors<1%", []string{"p99<99us", "p99.9<=199us"}, true},
		{"p99<99us,service.p99<80us,errors<1%", []string{"p99<99us", "service.p99<80us"}, false},
		{"mean<90us,errors<1%", []string{"mean<90us"}, true},
		{"mean<110us,service.mean<110us,errors<1%", nil, true},
		{"errors<=0.02%,unstarted<=0.08%,throughput>=99%", nil, true},
		{"errors<0.02%", []string{"errors<0.02%"}, false},
		{"unstarted<0.08%,throughput>99%,errors<1%", []string{"unstarted<0.08%", "throughput>99%"}, true},
		{"p50<1s", []string{"errors<=0%"}, false},
	} {
		o, err := Parse(tt.text)
		if err != nil {
			t.Fatal(err)
		}
		j, err := o.Judge(result(t))
		if err != nil || !slices.Equal(j.Missed, tt.missed) || j.Late != tt.late {
			t.Errorf("%s: %+v, %v", tt.text, j, err)
		}
	}
}

// TestNothingAnswered has a server whose latencies are all 0.
func TestNothingAnswered(t *testing.T) {
	o, err := Parse("p99<1s,errors<=100%")
	if err != nil {
		t.Fatal(err)
	}
	r := result(t)
	r.Calls, r.Latency = 0, load.Latency{}
	if j, err := o.Judge(r); err != nil || len(j.Missed) != 1 || j.Late {
		t.Errorf("%+v, %v", j, err)
	}
	r = result(t)
	r.Histogram = "broken"
	if o, err = Parse("mean<1s"); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Judge(r); err == nil {
		t.Error("a broken histogram is no error")
	}
}

func TestLeastCalls(t *testing.T) {
	o, err := Parse("p50<1s,p99.9<1s,errors<1%")
	if err != nil {
		t.Fatal(err)
	}
	if n, name := o.LeastCalls(); n != 10_000 || name != "p99.9" {
		t.Errorf("%v calls for %s", n, name)
	}
}
