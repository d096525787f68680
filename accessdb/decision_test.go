package accessdb

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestCommandEndsAtAZeroByte(t *testing.T) {
	for exec, want := range map[string][]string{
		"":            nil,
		"echo a":      {"execlineb", "-Pc", "echo a"},
		"echo a\x00b": {"execlineb", "-Pc", "echo a"},
		"\x00":        {"execlineb", "-Pc", ""},
	} {
		if got := (&Result{Exec: exec}).Command(); !slices.Equal(got, want) {
			t.Errorf("exec %q: %q, want %q", exec, got, want)
		}
	}
}

func TestKeysHaveOneForm(t *testing.T) {
	for _, key := range []Key{
		{Kind: KeyUIDSelf}, {Kind: KeyGIDSelf}, {Kind: KeyUIDDefault},
		{Kind: KeyUID}, {Kind: KeyGID}, {Kind: KeyUID, ID: 4294967294}, {Kind: KeyGID, ID: 10},
	} {
		text, _ := key.AppendText(nil)
		if got, ok := parseKey(text); !ok || got != key {
			t.Errorf("%s is parsed as %v, %t", text, got, ok)
		}
		if len(text) > maxKeyLength {
			t.Errorf("%s is longer than %d bytes", text, maxKeyLength)
		}
	}
	for _, text := range []string{
		"", "uid", "uid/", "gid/default", "uid/00", "uid/01", "uid/+1", "uid/-1", "uid/1 ", "uid/4294967295",
		"uid/4294967296", "uid/18446744073709551617", "UID/1", "ip4/1", "uid/selfish", "uid/default/",
	} {
		if key, ok := parseKey([]byte(text)); ok {
			t.Errorf("%q is parsed as %v", text, key)
		}
	}
	if text, _ := (Key{}).MarshalText(); len(text) != 0 {
		t.Errorf("the zero key is %q", text)
	}
}

func TestDecisionsHaveNames(t *testing.T) {
	for d, want := range map[Decision]string{NotFound: "not found", Deny: "deny", Allow: "allow", 9: "Decision(9)"} {
		if d.String() != want {
			t.Errorf("%d: %q", d, d)
		}
	}
}

func TestResultsHaveReadableJSON(t *testing.T) {
	b, err := json.Marshal(Result{Decision: Allow, Key: Key{KeyGID, 5}})
	if want := `{"Decision":"allow","Key":"gid/5","Env":{},"Exec":""}`; err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
}
