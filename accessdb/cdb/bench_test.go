package cdb

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
)

// uidDatabase has the keys uid/0 to uid/n-1.
func uidDatabase(b *testing.B, n int) []byte {
	b.Helper()
	var m memory
	w := NewWriter(&m)
	for i := range n {
		if err := w.Add([]byte("uid/"+strconv.Itoa(i)), []byte("A\x00\x00\x00\x00")); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return m.data
}

// BenchmarkFind looks random keys up, all of which exist.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1, 1000, 1000000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			r := open(b, uidDatabase(b, n))
			random := rand.New(rand.NewPCG(1, 2))
			var key [14]byte
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if _, ok := r.Find(strconv.AppendUint(append(key[:0], "uid/"...), uint64(random.IntN(n)), 10)); !ok {
					b.Fatal("a key is not found")
				}
			}
		})
	}
}

// BenchmarkVerify opens a database.
func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1, 1000, 1000000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			data := uidDatabase(b, n)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				open(b, data)
			}
		})
	}
}
