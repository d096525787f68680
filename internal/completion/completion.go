// Package completion writes completions for the shells bash, zsh and fish for a program
// whose command line is parsed by kong, from the same model as its help.
//
// The scripts hold all that can be completed, so that pressing a key does not run the
// program, which may be one for root, and no variable makes the program do something
// else than what its command line says.
//
// What is completed: commands, flags, and the values of flags that have a list of words
// or whose placeholder is PATH, FILE or DIR, USER or GROUP. Arguments of commands are
// words of their list, or files.
package completion

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Command is the command "completion" of a program.
type Command struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell to write for: bash, zsh or fish."`
}

// Help says where the scripts belong.
func (*Command) Help() string {
	return `The Debian and RPM packages bring the scripts along. Elsewhere PROGRAM completion SHELL
writes them to standard output; they belong into

    bash  /usr/share/bash-completion/completions/PROGRAM
    zsh   a file _PROGRAM in a directory of $fpath
    fish  ~/.config/fish/completions/PROGRAM.fish

or, for one session of bash: source <(PROGRAM completion bash)`
}

// Run writes the script.
func (c *Command) Run(app *kong.Kong) error {
	return Write(app.Stdout, app.Model, c.Shell)
}

// Write writes the script for a shell: bash, zsh or fish.
func Write(w io.Writer, app *kong.Application, shell string) error {
	root := nodeOf(app.Node)
	var script string
	switch shell {
	case "bash":
		script = bash(root)
	case "zsh":
		script = zsh(root)
	case "fish":
		script = fish(root)
	default:
		return fmt.Errorf("%q: no such shell; want bash, zsh or fish", shell)
	}
	_, err := io.WriteString(w, script)
	return err
}

// A node is a command, or the program.
type node struct {
	name      string
	path      string // the names of commands that lead here, a slash before each
	help      string
	flags     []flag
	children  []*node
	arguments []value
}

// A flag is one that may be given to a command.
type flag struct {
	long  string // without dashes
	short string // one letter or ""
	help  string
	many  bool // it may be given several times
	value value
}

// A value is that of a flag or an argument.
type value struct {
	name  string // "" for none
	kind  kind
	words []string // of ofWords
	many  bool     // of an argument: more may follow
}

type kind int

const (
	anything kind = iota // nothing to complete
	ofWords
	ofFiles
	ofDirectories
	ofUsers
	ofGroups
)

// nodeOf returns what is visible of a kong node.
func nodeOf(command *kong.Node) *node {
	n := &node{name: command.Name, help: summary(command.Help)}
	if command.Parent != nil {
		n.path = "/" + strings.ReplaceAll(command.Path(), " ", "/")
	}
	n.flags = flagsOf(command)
	if command.DefaultCmd != nil {
		n.flags = append(n.flags, ownFlags(command.DefaultCmd)...)
	}
	for _, child := range command.Children {
		if !child.Hidden {
			n.children = append(n.children, nodeOf(child))
		}
	}
	for _, argument := range command.Positional {
		a := valueOf(argument, ofFiles)
		a.name, a.many = argument.Name, argument.IsCumulative()
		n.arguments = append(n.arguments, a)
	}
	return n
}

// flagsOf returns the flags of a command and of those above it.
func flagsOf(command *kong.Node) []flag {
	if command == nil {
		return nil
	}
	return append(flagsOf(command.Parent), ownFlags(command)...)
}

func ownFlags(command *kong.Node) (list []flag) {
	for _, f := range command.Flags {
		if f.Hidden {
			continue
		}
		one := flag{long: f.Name, help: summary(f.Help), many: f.IsCumulative()}
		if f.Short != 0 {
			one.short = string(f.Short)
		}
		if !f.IsBool() {
			one.value = valueOf(f.Value, kindOf(f.PlaceHolder))
			one.value.name = cmp.Or(f.PlaceHolder, strings.ToUpper(f.Name))
		}
		list = append(list, one)
	}
	return list
}

// kindOf returns what a placeholder stands for.
func kindOf(placeholder string) kind {
	switch placeholder {
	case "PATH", "FILE":
		return ofFiles
	case "DIR":
		return ofDirectories
	case "USER":
		return ofUsers
	case "GROUP":
		return ofGroups
	}
	return anything
}

// valueOf returns a value that is of that kind unless it has a list of words.
func valueOf(v *kong.Value, otherwise kind) value {
	if v.Enum != "" {
		return value{kind: ofWords, words: v.EnumSlice()}
	}
	return value{kind: otherwise}
}

// summary returns the first sentence of a text, or its beginning to a semicolon.
func summary(text string) string {
	sentence, _, _ := strings.Cut(strings.Join(strings.Fields(text), " ")+" ", ". ")
	sentence, _, _ = strings.Cut(sentence, "; ")
	return strings.TrimRight(sentence, ". ")
}

// all calls f for a node and for those below it.
func (n *node) all(f func(*node)) {
	f(n)
	for _, child := range n.children {
		child.all(f)
	}
}

// function returns the name of the shell function for a node.
func (n *node) function(program string) string {
	return "_" + strings.NewReplacer("-", "_", "/", "_").Replace(program+n.path)
}
