package load

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestKinds counts calls that were not answered right by what was wrong.
func TestKinds(t *testing.T) {
	tally := newTally(false, false)
	for range 3 {
		tally.note(cause{what: "connect", errno: unix.ECONNREFUSED}, nil)
		tally.note(cause{what: "error frame"}, []byte("busy\x1b"))
	}
	tally.note(cause{what: endedEarly, bytes: 7}, nil)
	other := newTally(false, false)
	other.note(cause{what: endedEarly, bytes: 7}, nil)
	other.note(cause{what: "error frame"}, []byte("other"))
	tally.merge(other)
	g, err := tally.group(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	want := []ErrorKind{{"connect: connection refused", 3}, {`error frame: "busy\x1b"`, 3}, {"the answer ended after 7 bytes", 2}, {`error frame: "other"`, 1}}
	if !reflect.DeepEqual(g.ErrorKinds, want) || g.FirstError != want[0].What {
		t.Errorf("%v, first %q", g.ErrorKinds, g.FirstError)
	}
}

// TestManyKinds has a server that never says the same twice.
func TestManyKinds(t *testing.T) {
	tally := newTally(false, false)
	for i := range 1000 {
		tally.note(cause{what: "error frame"}, fmt.Append(nil, i))
	}
	var sum uint64
	for _, k := range tally.Kinds {
		sum += k.Count
	}
	if len(tally.Kinds) != maxKinds+1 || tally.Kinds[maxKinds].Text != otherKind || sum != 1000 {
		t.Errorf("%d kinds of %d calls", len(tally.Kinds), sum)
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{"connect: größe": "connect: größe", "a\x1b[2Jb\n": "a\ufffd[2Jb\ufffd", "\xff": "\ufffd", "": ""} {
		if got := visible(text); got != want {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

// TestTallyJSON sends a tally from part to part.
func TestTallyJSON(t *testing.T) {
	sent := newTally(true, false)
	sent.Counts.Calls, sent.Unstarted = 2, 1
	sent.Service.record(5 * time.Millisecond)
	sent.Service.record(time.Hour) // a minute, which is the longest
	sent.note(cause{what: "send", errno: unix.EPIPE}, nil)
	b, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got tally
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Counts != sent.Counts || got.Unstarted != 1 || !got.Service.Equals(sent.Service.Histogram) || got.Phases[0].Histogram != nil {
		t.Errorf("%+v", got)
	}
	if most := time.Duration(got.Service.Max()); most < longestTime || most > longestTime+longestTime/1000 || got.Kinds[0].Text != "send: broken pipe" {
		t.Errorf("the longest is %v; %+v", most, got.Kinds[0])
	}
	sum := new(tally)
	sum.merge(&got)
	sum.merge(sent)
	if sum.Service.TotalCount() != 4 || sent.Service.TotalCount() != 2 || sum.Kinds[0].Count != 2 || sum.Latency.TotalCount() != 0 {
		t.Errorf("together %d, one of them %d", sum.Service.TotalCount(), sent.Service.TotalCount())
	}
	if err := json.Unmarshal([]byte(`{"Service":"no histogram"}`), new(tally)); err == nil {
		t.Error("no histogram")
	}
}
