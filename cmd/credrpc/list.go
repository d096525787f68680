package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"credrpc/accessdb"
)

type listCommand struct {
	Rules string `required:"" placeholder:"PATH" help:"Rules directory or rules file."`
	JSON  bool   `name:"json" help:"Print a JSON object for each rule, one a line."`
}

// Help describes the table and the objects.
func (*listCommand) Help() string {
	return `The rules come in the order of the file, or of the keys in a directory. Environments and command lines ` +
		`are abbreviated, NAME="value" sets and -NAME unsets. "no match" is a rule without a decision, ` +
		`"error" one that is not in order or cannot be read; the reason follows.

Exit status: 0 done, 111 a rule is not in order, or the rules cannot be read.

With --json an object a line:

    key       such as uid/1000
    decision  allow, deny, or not found: the rule says neither
    env       list of name and value, or of name and unset; absent if empty
    exec      command line to run instead of the program; absent if none
    error     what is not in order; absent if nothing

Text that is not UTF-8 is an object with the member base64.`
}

// listRule is a rule as --json prints it.
type listRule struct {
	Key      ruleText          `json:"key"`
	Decision accessdb.Decision `json:"decision"`
	Env      []ruleVariable    `json:"env,omitempty"`
	Exec     ruleText          `json:"exec,omitempty"`
	Error    ruleText          `json:"error,omitempty"`
}

// Run prints the rules one by one, so that they may be any number. A file that a
// server would refuse because of one rule is listed nevertheless.
func (c *listCommand) Run(s streams) error {
	if c.Rules == "" {
		return usageError("--rules: is empty")
	}
	db, err := accessdb.Open(c.Rules, accessdb.Options{Compatible: true, CacheSize: -1, PollInterval: -1})
	if err != nil {
		return systemError(err)
	}
	defer db.Close()
	out := bufio.NewWriterSize(s.out, 64<<10)
	wrong, err := c.print(out, db)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%s: %d of the rules above are not in order", c.Rules, wrong)
	}
	if err != nil {
		return systemError(err)
	}
	return nil
}

// print writes the rules and counts those that are not in order.
func (c *listCommand) print(out *bufio.Writer, db *accessdb.DB) (wrong int, err error) {
	encoder := json.NewEncoder(out)
	if !c.JSON {
		printRow(out, "KEY", "DECISION", "ENV", "EXEC")
	}
	for rule, failure := range db.Rules() {
		switch {
		case failure == nil:
		case rule.Key == "":
			return wrong, failure
		default:
			wrong++
		}
		if c.JSON {
			err = encoder.Encode(&listRule{
				ruleText(rule.Key), rule.Decision, variables(rule.Env), ruleText(rule.Exec), errorText(failure),
			})
		} else {
			err = printRule(out, rule, failure)
		}
		if err != nil {
			return wrong, err
		}
	}
	return wrong, nil
}

// Widths of the table's columns, in characters. The longest key that decides on a
// caller has 14; longer ones push their row to the right.
const (
	keyWidth      = 14
	decisionWidth = 8
	envWidth      = 30
	execWidth     = 24
)

func printRule(out *bufio.Writer, rule accessdb.Rule, failure error) error {
	what := outcome(rule.Decision, failure)
	if failure != nil {
		_, err := fmt.Fprintf(out, "%-*s  %-*s  %s\n", keyWidth, word(rule.Key), decisionWidth, what, oneLine(failure.Error()))
		return err
	}
	exec := ""
	if rule.Exec != "" {
		exec = abbreviate(fmt.Sprintf("%q", rule.Exec), execWidth)
	}
	return printRow(out, word(rule.Key), what, modifications(rule.Env), exec)
}

func printRow(out *bufio.Writer, key, decision, env, exec string) error {
	row := fmt.Sprintf("%-*s  %-*s  %-*s  %s", keyWidth, key, decisionWidth, decision, envWidth, env, exec)
	_, err := fmt.Fprintln(out, strings.TrimRight(row, " "))
	return err
}

// modifications describes an environment in a few words.
func modifications(env accessdb.Env) string {
	var b strings.Builder
	for m := range env.All() {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if m.Unset {
			fmt.Fprintf(&b, "-%s", word(m.Name))
		} else {
			fmt.Fprintf(&b, "%s=%q", word(m.Name), m.Value)
		}
	}
	return abbreviate(b.String(), envWidth)
}

// abbreviate cuts text that has more than width characters.
func abbreviate(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
