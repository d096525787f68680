//go:build linux && !credrpc_net

package client

import (
	"testing"
	"time"
)

// TestYield has lone calls look for their answers only while answers come quickly, and
// only for a moment.
func TestYield(t *testing.T) {
	var w waits
	now := time.Now()
	x := &exchange{alone: true, waits: &w, sent: now.Add(time.Hour)}
	if !x.yield() {
		t.Error("a first call does not look")
	}
	x.sent = now.Add(-spinFor - time.Second)
	if x.yield() {
		t.Error("it looks without end")
	}
	x.sent = now.Add(time.Hour)
	w.note(time.Hour)
	if x.yield() || !w.long() {
		t.Error("it looks though the last answer took an hour")
	}
	quick := 0
	for ; w.long() && quick < 1000; quick++ {
		w.note(spinBelow / 2)
	}
	if quick < 5 || quick > 50 || !x.yield() {
		t.Errorf("%d quick answers make it look again", quick)
	}
	x.alone = false
	if !x.yield() || x.yield() || x.yield() {
		t.Error("a call that is not alone does not try twice")
	}
}

// TestMayYield yields no more for a while once the processor was away for long on average.
func TestMayYield(t *testing.T) {
	var w waits
	for range 1000 {
		w.noteYield(time.Now(), longYield/2)
	}
	w.noteYield(time.Now(), 2*longYield)
	if !w.mayYield() {
		t.Error("quick yields with a long one are the last")
	}
	long := 0
	for ; w.mayYield() && long < 1000; long++ {
		w.noteYield(time.Now().Add(time.Hour), time.Hour)
	}
	if long == 0 || long > 5 || time.Until(*w.resting.Load()) > 2*time.Hour+time.Second {
		t.Errorf("%d long yields end it until %v", long, w.resting.Load())
	}
	w = waits{}
	for range long * 20 {
		w.noteYield(time.Now().Add(-2*time.Hour), time.Hour)
	}
	if !w.mayYield() {
		t.Error("long yields are not forgotten")
	}
}
