// Package size reads numbers of bytes as people write them: 1048576, 1024K, 1M and 1MiB
// are the same. The units are K, M and G, each 1024 of the one before, with or without iB
// after them. There are no units of 1000, so that nobody can mean one and get the other.
package size

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// A Size is a number of bytes, which is not negative. Flags and settings of this type take
// all notations.
type Size int64

// Wanted says what is accepted.
const Wanted = "a number of bytes such as 1048576, 64K or 1MiB"

// units are by what a number is shifted, the smallest first.
var units = [...]struct {
	letter string
	shift  int
}{{"K", 10}, {"M", 20}, {"G", 30}}

// Parse reads a size.
func Parse(text string) (Size, error) {
	number, shift := text, 0
	for _, u := range units {
		if digits, ok := strings.CutSuffix(strings.TrimSuffix(text, "iB"), u.letter); ok {
			number, shift = digits, u.shift
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || strings.HasPrefix(number, "+") || bits.Len64(n)+shift > 63 {
		return 0, fmt.Errorf("want %s, not %q", Wanted, text)
	}
	return Size(n << shift), nil
}

// String returns the size in the largest unit of which it is a whole number.
func (s Size) String() string {
	for i := len(units) - 1; i >= 0; i-- {
		if u := units[i]; s != 0 && s%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(s>>u.shift), 10) + u.letter
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}
