//go:build linux

package accessdb

import (
	"math/bits"
	"math/rand/v2"
)

// scatter is a hash function that nobody can foresee, so that neither a file nor a
// caller can choose numbers that crowd. The second multiplication is for numbers in
// a row: with one, a row lies evenly, but for one function of a hundred, with which
// it crowds in a part of the table.
type scatter struct{ first, second uint64 } // odd and random

func newScatter() scatter { return scatter{rand.Uint64() | 1, rand.Uint64() | 1} }

// place returns a number below n.
func (s scatter) place(number uint64, n int) uint64 {
	h := number * s.first
	h = (h ^ h>>32) * s.second
	place, _ := bits.Mul64(h, uint64(n)) // the upper half of the product
	return place
}
