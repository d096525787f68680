package accessdb

import (
	"errors"
	"strings"
	"testing"
)

func TestDecodeRecord(t *testing.T) {
	long := strings.Repeat("x", 4096)
	for _, row := range []struct {
		name, value string
		want        Decision
		err         error
		reason      string
	}{
		{"a deny", "D", Deny, nil, ""},
		{"a deny with something behind it", "Dxyz", Deny, nil, ""},
		{"a plain allow", plainAllow, Allow, nil, ""},
		{"an allow with environment and command line", "A\x00\x04A=1\x00\x00\x02ls", Allow, nil, ""},
		{"the largest command line", "A\x00\x00\x10\x00" + long, Allow, nil, ""},
		{"the largest record", "A\x10\x00" + long[:4095] + "\x00\x10\x00" + long, Allow, nil, ""},
		{"nothing", "", Deny, ErrMalformedRule, "no value"},
		{"another letter", "a\x00\x00\x00\x00", Deny, ErrUnknownValue, ""},
		{"an allow that ends at once", "A", Deny, ErrMalformedRule, "length of the environment"},
		{"an allow without the second length", "A\x00\x00\x00", Deny, ErrMalformedRule, "length of the command line"},
		{"an environment longer than the record", "A\x00\x05A=1\x00\x00\x00", Deny, ErrMalformedRule, "no list of"},
		{"a command line longer than the record", "A\x00\x00\x00\x03ls", Deny, ErrMalformedRule, "length of the command line"},
		{"a command line shorter than the record", "A\x00\x00\x00\x01ls", Deny, ErrMalformedRule, "length of the command line"},
		{"an environment of more than 4096 bytes", "A\x10\x01" + long + "\x00\x00\x00", Deny, ErrMalformedRule, "length of the environment"},
		{"a command line of more than 4096 bytes", "A\x00\x00\x10\x01" + long + "x", Deny, ErrMalformedRule, "length of the command line"},
		{"more bytes than any record has", "D" + strings.Repeat("x", maxValueLength), Deny, ErrMalformedRule, "longer than"},
		{"lengths in the other byte order", "A\x04\x00A=1\x00\x00\x00", Deny, ErrMalformedRule, "length of the environment"},
		{"an entry without an end", "A\x00\x03A=1\x00\x00", Deny, ErrMalformedRule, "no list of"},
		{"an entry without a name", "A\x00\x03=1\x00\x00\x00", Deny, ErrMalformedRule, "no list of"},
		{"an empty entry", "A\x00\x01\x00\x00\x00", Deny, ErrMalformedRule, "no list of"},
	} {
		r, err := decodeRecord([]byte(row.value))
		if r.decision != row.want || !errors.Is(err, row.err) || (row.reason != "" && !strings.Contains(err.Error(), row.reason)) {
			t.Errorf("%s: %v, %v; want %v, %v", row.name, r.decision, err, row.want, row.err)
		}
	}
}

func TestAppendRecord(t *testing.T) {
	big := Env{strings.Repeat("A=23456\x00", 512) + "B\x00"}
	for _, row := range []struct {
		name string
		rule Rule
		want string
		err  error
	}{
		{"a deny", Rule{Decision: Deny}, "D", nil},
		{"a plain allow", Rule{Decision: Allow}, plainAllow, nil},
		{"everything", Rule{Decision: Allow, Env: env(t, "A=1", "B"), Exec: "ls"}, "A\x00\x06A=1\x00B\x00\x00\x02ls", nil},
		{"no decision", Rule{}, "", ErrMalformedRule},
		{"a deny with a command line", Rule{Decision: Deny, Exec: "ls"}, "", ErrMalformedRule},
		{"a deny with an environment", Rule{Decision: Deny, Env: env(t, "A")}, "", ErrMalformedRule},
		{"too large an environment", Rule{Decision: Allow, Env: big}, "", ErrRuleTooLarge},
		{"too long a command line", Rule{Decision: Allow, Exec: strings.Repeat("x", 4097)}, "", ErrRuleTooLarge},
	} {
		got, err := AppendRecord([]byte("before "), row.rule)
		if string(got) != "before "+row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %q, %v", row.name, got, err)
		}
	}
}
