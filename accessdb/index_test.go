package accessdb

import (
	"math/rand/v2"
	"testing"
)

func TestIndexAgreesWithAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	for _, row := range []struct {
		name string
		uid  func(uint32) uint32
	}{
		{"in a row", dense}, {"spread", spread},
		{"in a row at the end", func(n uint32) uint32 { return invalidID - 1 - n }},
		{"with the same lowest bits", func(n uint32) uint32 { return n << 12 }},
	} {
		for _, n := range []int{0, 1, 2, 3, 15, 16, 17, 100, 10000} {
			x := newIndex()
			want := make(map[uint32]verdict)
			for range n {
				id := row.uid(random.Uint32N(uint32(2*n + 1)))
				v := verdict(1 + random.IntN(3))
				x.add(id, v)
				if _, seen := want[id]; seen {
					v = verdictRecord
				}
				want[id] = v
			}
			agree := func(when string) {
				for i := range uint32(2*n + 2) {
					if id := row.uid(i); x.get(id) != want[id] {
						t.Errorf("%d ids %s, %s: %d is %v, want %v", n, row.name, when, id, x.get(id), want[id])
					}
				}
				for _, id := range []uint32{0, 15, 16, 1<<32 - 2, 1 << 31, 1<<31 - 1} {
					if got := x.get(id); got != want[id] {
						t.Errorf("%d ids %s, %s: %d is %v", n, row.name, when, id, got)
					}
				}
			}
			agree("as it grew")
			x.fit()
			agree("fitted")
			if 3*x.used > 2*len(x.slots) {
				t.Errorf("%d ids %s: %d of %d slots in use", n, row.name, x.used, len(x.slots))
			}
		}
	}
}

// TestIndexOfIDsInARow checks that rows of ids are small and quickly searched,
// whatever the hash function of this index happens to be.
func TestIndexOfIDsInARow(t *testing.T) {
	for range 200 {
		x := newIndex()
		const ids = 20000
		for id := range uint32(ids) {
			x.add(id, verdictAllow)
		}
		x.fit()
		steps := uint64(0)
		for row := range uint32(ids >> rowBits) {
			steps += 1 + (x.find(row)+uint64(len(x.slots))-x.hash.place(uint64(row), len(x.slots)))%uint64(len(x.slots))
		}
		if average := float64(steps) / (ids >> rowBits); average > 4 || len(x.slots)*8 > ids {
			t.Errorf("%d slots, %.1f looks for an id", len(x.slots), average)
		}
	}
}
