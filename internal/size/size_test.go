package size

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "1000": 1000, "1024": 1 << 10, "1K": 1 << 10, "1KiB": 1 << 10, "64K": 64 << 10, "007": 7,
		"1M": 1 << 20, "16MiB": 16 << 20, "1G": 1 << 30, "3GiB": 3 << 30, "8589934591G": 8589934591 << 30, "9223372036854775807": 1<<63 - 1,
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, which is %d, %v", text, got, again, err)
		}
	}
	for _, text := range []string{
		"", "K", "iB", "1iB", "1B", "1KB", "1MB", "1k", "1m", "1T", "-1", "-1K", "+1", "1.5M", "1 M", " 1", "1M ", "1KK", "0x10", "1_000",
		"8589934592G", "9223372036854775808", "99999999999999999999",
	} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	s := Size(7)
	const want = `want a number of bytes such as 1048576, 64K or 1MiB, not "1MB"`
	if err := s.UnmarshalText([]byte("1MB")); err == nil || err.Error() != want || s != 7 {
		t.Errorf("%v, %v", err, s)
	}
}

func TestString(t *testing.T) {
	for s, want := range map[Size]string{0: "0", 1000: "1000", 1024: "1K", 1536: "1536", 1 << 20: "1M", 5 << 30: "5G", 1 << 40: "1024G"} {
		if s.String() != want {
			t.Errorf("%d is written %q, want %q", int64(s), s, want)
		}
	}
}
