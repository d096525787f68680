//go:build linux

package accessdb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The value of a record, as s6-accessrules-cdb-from-fs writes it. Lengths are
// unsigned, 16 bits and big endian.
//
//	deny:   'D'
//	allow:  'A'  env length  env  exec length  exec
//	bytes:   1       2        …        2        …
const (
	valueAllow = 'A'
	valueDeny  = 'D'

	maxEnvLength  = 4096 // bytes of encoded modifications
	maxExecLength = 4096 // bytes of a command line

	minAllowLength = 1 + 2 + 2
	maxValueLength = minAllowLength + maxEnvLength + maxExecLength
)

// record is a decoded value; its slices are parts of it.
type record struct {
	decision  Decision
	env, exec []byte
}

// decodeRecord takes the value of a record apart. A deny ends at its first byte,
// whatever follows. With an error the decision is Deny.
func decodeRecord(value []byte) (record, error) {
	refused := record{decision: Deny}
	switch {
	case len(value) == 0:
		return refused, malformedRule("no value")
	case len(value) > maxValueLength:
		return refused, malformedRule("longer than a rule can be")
	}
	switch value[0] {
	case valueDeny:
		return refused, nil
	case valueAllow:
	default:
		return refused, ErrUnknownValue
	}
	env, rest, ok := cutField(value[1:], maxEnvLength)
	if !ok {
		return refused, malformedRule("wrong length of the environment")
	}
	if !validEnv(env) {
		return refused, malformedRule("environment is no list of NAME=value and NAME")
	}
	exec, rest, ok := cutField(rest, maxExecLength)
	if !ok || len(rest) != 0 {
		return refused, malformedRule("wrong length of the command line")
	}
	return record{decision: Allow, env: env, exec: exec}, nil
}

func malformedRule(what string) error { return fmt.Errorf("%w: %s", ErrMalformedRule, what) }

// cutField takes a field of a length and that many bytes off the front of b.
func cutField(b []byte, limit int) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	length := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if length > limit || length > len(b) {
		return nil, nil, false
	}
	return b[:length], b[length:], true
}

// plainAllow is the commonest value: allow, and nothing else.
const plainAllow = "A\x00\x00\x00\x00"

// AppendRecord appends the value of the record for a rule. The decision must be
// Allow, or Deny without environment and command line.
//
// Returns [ErrRuleTooLarge], and [ErrMalformedRule] for a rule that no record can
// express.
func AppendRecord(b []byte, r Rule) ([]byte, error) {
	env, exec := r.Env.encoded, r.Exec
	switch {
	case r.Decision == Deny && env == "" && exec == "":
		return append(b, valueDeny), nil
	case r.Decision != Allow:
		return b, fmt.Errorf("%w: %s: decision %v", ErrMalformedRule, r.Key, r.Decision)
	case len(env) > maxEnvLength:
		return b, fmt.Errorf("%w: %s: %d bytes of environment", ErrRuleTooLarge, r.Key, len(env))
	case len(exec) > maxExecLength:
		return b, fmt.Errorf("%w: %s: %d bytes of command line", ErrRuleTooLarge, r.Key, len(exec))
	}
	b = append(b, valueAllow)
	b = binary.BigEndian.AppendUint16(b, uint16(len(env)))
	b = append(b, env...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(exec)))
	return append(b, exec...), nil
}

// decodeRule makes a rule of a record. With an error the decision is Deny.
func decodeRule(key, value []byte) (Rule, error) {
	r, err := decodeRecord(value)
	rule := Rule{Key: string(key), Decision: r.decision, Env: Env{string(r.env)}, Exec: string(r.exec)}
	if err != nil {
		err = fmt.Errorf("%w: %q", err, key)
	}
	return rule, err
}

// resultOf makes a result of the record of a key, with copies of what it has. With
// an error the decision is Deny. A compatible result is NotFound for a record that
// says neither allow nor deny.
func resultOf(key Key, value []byte, compatible bool) (Result, error) {
	r, err := decodeRecord(value)
	if errors.Is(err, ErrUnknownValue) && compatible {
		return Result{}, nil
	}
	if err != nil {
		return Result{Decision: Deny, Key: key}, fmt.Errorf("%w: %v", err, key)
	}
	return Result{Decision: r.decision, Key: key, Env: Env{string(r.env)}, Exec: string(r.exec)}, nil
}
