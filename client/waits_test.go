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
	if x.yield() {
		t.Error("a call that is not alone tries more than once")
	}
}
