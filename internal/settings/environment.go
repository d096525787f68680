package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Variable returns the name of the variable for a setting.
func Variable(name string) string {
	return Prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// listSeparator stands between the members of a list in a variable, as in PATH.
const listSeparator = ":"

// readEnvironment takes the settings from variables, and returns what is wrong.
func (f *Flags) readEnvironment(environ Environment) (problems []string) {
	variables := make(map[string]*kong.Value)
	for _, setting := range settings(f.command) {
		if setting.Flag != nil {
			variables[Variable(setting.Name)] = setting
		}
	}
	// In the order of their names, as the environment has none.
	for _, variable := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(variable, "=")
		setting, known := variables[name]
		switch {
		case known:
			value, err := fromText(setting, text)
			if err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", name, err))
			}
			f.give(setting.Name, value, Origin{From: FromEnvironment, Variable: name})
		case strings.HasPrefix(name, Prefix):
			problems = append(problems, fmt.Sprintf("%s: is no setting; \"credrpc config example\" has them all", name))
		case variables[Prefix+strings.TrimPrefix(name, shortPrefix)] != nil && strings.HasPrefix(name, shortPrefix):
			problems = append(problems, fmt.Sprintf("%s: is no setting; write %s", name, Prefix+strings.TrimPrefix(name, shortPrefix)))
		}
	}
	return problems
}

// shortPrefix is what those may write who have forgotten half of [Prefix].
const shortPrefix = "CREDRPC_"

// fromText returns the value that a variable gives a setting.
func fromText(setting *kong.Value, text string) (value any, err error) {
	value = text
	if kind(setting) == reflect.Slice {
		list := []any{}
		for member := range strings.SplitSeq(text, listSeparator) {
			list = append(list, member)
		}
		value = list
	}
	if !takes(setting, value) {
		return nil, fmt.Errorf("want %s, not %q", wanted(setting), text)
	}
	return value, nil
}
