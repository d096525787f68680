package main

import (
	"bufio"
	"encoding/json"
	"fmt"

	"credrpc/accessdb"
)

type lintCommand struct {
	Rules string `required:"" placeholder:"PATH" help:"Rules directory or rules file."`
	JSON  bool   `name:"json" help:"Print a JSON object for each finding, one a line."`
}

// Help describes the findings.
func (*lintCommand) Help() string {
	return `Kinds of findings:

    unreachable  a rule, or a part of one, that never takes effect
    value        a rule that says neither allow nor deny, or is malformed
    env          a variable that decides what code runs for a caller, such
                 as PATH or LD_PRELOAD, or that says who calls
    writable     a file, directory or link, up to the root of the file
                 system, with which others than root and whoever runs this
                 may change the rules

Exit status: 0 nothing found, which is said on standard error; 1 something found; ` +
		`111 the rules cannot be examined.

With --json an object a line with kind, subject (a path, or the key of a rule) and message. ` +
		`Text that is not UTF-8 is an object with the member base64.`
}

// lintFinding is a finding as --json prints it.
type lintFinding struct {
	Kind    accessdb.FindingKind `json:"kind"`
	Subject ruleText             `json:"subject"`
	Message ruleText             `json:"message"`
}

// Run examines the rules.
func (c *lintCommand) Run(s streams) error {
	if c.Rules == "" {
		return usageError("--rules: is empty")
	}
	findings, err := accessdb.Lint(c.Rules)
	if err != nil {
		return systemError(err)
	}
	if err := c.print(s, findings); err != nil {
		return systemError(err)
	}
	if len(findings) > 0 {
		return &exitError{status: exitFailed}
	}
	fmt.Fprintf(s.err, "credrpc: %s: nothing found\n", oneLine(c.Rules))
	return nil
}

func (c *lintCommand) print(s streams, findings []accessdb.Finding) error {
	out := bufio.NewWriter(s.out)
	encoder := json.NewEncoder(out)
	for _, f := range findings {
		var err error
		if c.JSON {
			err = encoder.Encode(&lintFinding{f.Kind, ruleText(f.Subject), ruleText(f.Message)})
		} else {
			_, err = fmt.Fprintln(out, oneLine(f.String()))
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}
