package accessdb

import (
	"errors"
	"slices"
	"testing"
)

func TestEnvApply(t *testing.T) {
	base := []string{"A=1", "B=2", "odd", "AB=3", "A=4", "=C:=x"}
	before := slices.Clone(base)
	for _, row := range []struct {
		name string
		env  Env
		want []string
	}{
		{"nothing to do", Env{}, base},
		{"a new variable goes to the end", env(t, "N=x"), []string{"A=1", "B=2", "odd", "AB=3", "A=4", "=C:=x", "N=x"}},
		{"a variable that is set loses all it had", env(t, "A=x"), []string{"B=2", "odd", "AB=3", "=C:=x", "A=x"}},
		{"a variable that is unset loses all it had", env(t, "A"), []string{"B=2", "odd", "AB=3", "=C:=x"}},
		{"an entry without an equals sign stays", env(t, "odd"), base},
		{"an empty value is a value", env(t, "B="), []string{"A=1", "odd", "AB=3", "A=4", "=C:=x", "B="}},
		{"the last of several counts", env(t, "A=x", "A", "B", "B=y=z"), []string{"odd", "AB=3", "=C:=x", "B=y=z"}},
	} {
		if got := row.env.Apply(base); !slices.Equal(got, row.want) {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		if !slices.Equal(base, before) {
			t.Fatalf("%s: changed its argument to %q", row.name, base)
		}
	}
	if got := env(t, "A=1").Apply(nil); !slices.Equal(got, []string{"A=1"}) {
		t.Errorf("applied to nothing: %q", got)
	}
}

func TestNewEnvRefusesWhatHasNoEncoding(t *testing.T) {
	for _, m := range []Modification{
		{Name: ""}, {Name: "A=B"}, {Name: "A\x00"}, {Name: "A", Value: "\x00"}, {Name: "=", Unset: true},
	} {
		if e, err := NewEnv(m); !errors.Is(err, ErrInvalidEnv) || !e.IsZero() {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

func TestEnvAllReturnsWhatWasEncoded(t *testing.T) {
	want := []Modification{{Name: "A", Value: "1"}, {Name: "B", Unset: true}, {Name: "C", Value: ""}, {Name: "D", Value: "=\n="}}
	e, err := NewEnv(want...)
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(e.All()); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for range e.All() {
		break // must not go on
	}
}
