package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"credrpc/accessdb"

	"github.com/alecthomas/kong"
)

// rulesCommand has the commands about access rules. They exit as the programs of s6
// do, so that scripts can replace those.
type rulesCommand struct {
	Compile   compileCommand   `cmd:"" help:"Make a rules file of a rules directory, or of records."`
	Decompile decompileCommand `cmd:"" help:"Take a rules file apart into a rules directory."`
	Check     checkCommand     `cmd:"" help:"Tell whether a caller may call, and why."`
	List      listCommand      `cmd:"" help:"Print every rule."`
	Lint      lintCommand      `cmd:"" help:"Find rules that are probably not meant, and files that others may change."`
}

// Help tells what the commands have in common.
func (*rulesCommand) Help() string {
	return `Rules are a directory or a compiled file, as s6-ipcserver-access reads them ` +
		`("go doc credrpc/accessdb" has the format). Exit status: 0 done, allowed, or nothing found; ` +
		`1 denied, or something found; 2 wrong usage; 111 rules that are wrong or cannot be read or written.`
}

// systemError is an error of the system or in the rules. Its text may hold names
// from the rules, and gets what could command a terminal escaped.
func systemError(err error) error {
	return &exitError{exitSystem, errors.New(oneLine(err.Error()))}
}

// oneLine returns text as it is, or quoted if it could command a terminal or is more
// than one line.
func oneLine(text string) string {
	if printableLine(text) {
		return text
	}
	return strconv.Quote(text)
}

// word returns text as it is, or quoted if it is not one plain word.
func word(text string) string {
	if text != "" && printableLine(text) && !strings.ContainsAny(text, ` "`) {
		return text
	}
	return strconv.Quote(text)
}

func printableLine(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// outcome says in a word what came of a rule.
func outcome(decision accessdb.Decision, err error) string {
	switch {
	case err != nil:
		return "error"
	case decision == accessdb.NotFound:
		return "no match"
	}
	return decision.String()
}

// ruleText is text from rules in JSON: a string, or {"base64": ...} if it is not
// UTF-8. What could command a terminal is escaped.
type ruleText string

// MarshalJSON implements json.Marshaler.
func (t ruleText) MarshalJSON() ([]byte, error) {
	if !utf8.ValidString(string(t)) {
		return json.Marshal(map[string][]byte{"base64": []byte(t)})
	}
	quoted, err := json.Marshal(string(t))
	if err != nil || printableLine(string(quoted)) {
		return quoted, err
	}
	var b []byte
	for _, r := range string(quoted) {
		if unicode.IsPrint(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b = append(b, '\\', 'u')
			b = append(b, strconv.FormatUint(0x10000+uint64(unit), 16)[1:]...)
		}
	}
	return b, nil
}

// ruleVariable is a modification of the environment in JSON.
type ruleVariable struct {
	Name  ruleText  `json:"name"`
	Value *ruleText `json:"value,omitempty"` // nil when unset
	Unset bool      `json:"unset,omitempty"`
}

func variables(env accessdb.Env) (list []ruleVariable) {
	for m := range env.All() {
		v := ruleVariable{Name: ruleText(m.Name), Unset: m.Unset}
		if !m.Unset {
			v.Value = (*ruleText)(&m.Value)
		}
		list = append(list, v)
	}
	return list
}

// errorText is an error in JSON, "" if there is none.
func errorText(err error) ruleText {
	if err == nil {
		return ""
	}
	return ruleText(err.Error())
}

// hintAtRules adds to err, if it is about rules that were named without a flag, how they
// are named.
func hintAtRules(err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context.Selected() == nil {
		return err
	}
	argument, unexpected := strings.CutPrefix(err.Error(), "unexpected argument ")
	named := func(f *kong.Flag) bool { return f.Name == "rules" && f.Required }
	if !unexpected || !slices.ContainsFunc(parse.Context.Selected().Flags, named) {
		return err
	}
	return fmt.Errorf("%w; rules are named by a flag: --rules=%s", err, argument)
}
