package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"credrpc/internal/settings"

	"github.com/alecthomas/kong"
)

// configFlags make the flags of serve settings of a file and of the environment too.
type configFlags struct {
	settings.Flags
	onlyCheck bool // Run returns when all is checked and before anything is made
}

// configCommand holds the commands about settings.
type configCommand struct {
	Check   configCheckCommand   `cmd:"" help:"Check a file of settings, as serve does before it begins."`
	Show    configShowCommand    `cmd:"" help:"Print the settings in force and where each comes from."`
	Example configExampleCommand `cmd:"" help:"Print a file that has every setting, commented."`
}

// explain adds to err, about settings, the places where they were given.
func (cli *commandLine) explain(err error) error {
	return cli.Config.Show.Explain(cli.Serve.Explain(err))
}

type configCheckCommand struct {
	File string `arg:"" help:"File of settings."`
}

// Help says what is checked.
func (*configCheckCommand) Help() string {
	return `Makes every check that "credrpc serve --config FILE" makes before it makes the socket, in an empty ` +
		`environment: names, types, ranges, contradictions, whether rules, users, programs and what a sandbox keeps are there, and ` +
		`whether others could change the file. A mistake is reported with file, line and setting.

Exit status: 0 in order, 1 rules and the like cannot be had, 2 a mistake in the file.`
}

// Run checks the file in the way of serve itself.
func (c *configCheckCommand) Run(s streams) error {
	var cli commandLine
	cli.Serve.onlyCheck = true
	if status := cli.run([]string{"serve", "--config=" + c.File}, s, nil); status != exitOK {
		return &exitError{status: status}
	}
	fmt.Fprintf(s.err, "credrpc: %s: in order\n", oneLine(c.File))
	return nil
}

// configShowCommand has all flags of serve.
type configShowCommand struct {
	JSON bool `name:"json" setting:"-" help:"Print a JSON object for each setting, one a line."`
	serveCommand
}

// showSettings makes the flags that "config show" shares with serve neither listed
// again nor needed.
func showSettings(k *kong.Kong) error {
	show, serve := command(k.Model.Node, "config", "show"), command(k.Model.Node, "serve")
	known := make(map[string]bool)
	for _, flag := range serve.Flags {
		known[flag.Name] = true
	}
	for _, flag := range show.Flags {
		if known[flag.Name] && flag.Name != "help" {
			flag.Hidden, flag.Required = true, false
		}
	}
	return nil
}

// command returns the command that the words lead to.
func command(node *kong.Node, words ...string) *kong.Node {
	for _, word := range words {
		for _, child := range node.Children {
			if child.Name == word {
				node = child
			}
		}
	}
	return node
}

// Help describes the table and the objects.
func (*configShowCommand) Help() string {
	return `Takes the flags of serve, --config among them, reads the environment and the file as serve does, and prints ` +
		`every setting with its value, a dash if it has none, and where it comes from: flag, a variable, FILE:LINE, or ` +
		`default. Whether they make sense together is not checked; "credrpc config check" does that.

With --json an object a line:

    name      of the setting
    value     true or false, a number, text, or a list of texts; null if none
    from      flag, environment, file or default
    variable  with environment: the name of the variable
    file      with file: its path
    line      with file: the line`
}

// Run prints the settings.
func (c *configShowCommand) Run(s streams) error {
	out := bufio.NewWriter(s.out)
	encoder := json.NewEncoder(out)
	if !c.JSON {
		printSetting(out, "SETTING", "VALUE", "FROM")
	}
	for _, setting := range c.InForce() {
		var err error
		if c.JSON {
			err = encoder.Encode(setting)
		} else {
			err = printSetting(out, setting.Name, oneLine(setting.String()), setting.Origin.String())
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// printSetting prints a row of the table. The longest name has 25 characters.
func printSetting(out io.Writer, name, value, from string) error {
	_, err := fmt.Fprintf(out, "%-25s  %-24s  %s\n", name, value, from)
	return err
}

type configExampleCommand struct{}

//go:generate sh -c "go run . config example >../../deploy/config/credrpc.toml"

// Run prints the example file.
func (configExampleCommand) Run(s streams, k *kong.Kong) error {
	const head = `# Settings of credrpc serve, which reads this file with --config PATH. Each is a flag of
# the same name. Flags count before variables such as CREDRPC_SERVE_MAX_CALLS, and these
# before this file. "credrpc config check PATH" finds mistakes. The values below are the
# defaults; those that have none are examples.
#
# As /etc/credrpc/NAME.toml it is for the unit credrpc@NAME; then listen is "systemd:", and
# mode, owner and group are in the socket unit.
`
	if _, err := io.WriteString(s.out, head); err != nil {
		return err
	}
	serve := command(k.Model.Node, "serve")
	return settings.WriteExample(s.out, serve)
}
