package manpage

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

type command struct {
	Target string `arg:"" help:"What to act on."`
	Force  bool   `short:"f" help:"Do it, whatever it's called."`
	Mode   string `default:"0600" help:"Octal (${default})."`
	Secret bool   `hidden:"" help:"Nobody's business."`
}

func (command) Help() string {
	return "First paragraph.\nStill the first.\n\n\tan example\n\t.with a dot\n\n\tand \\ a gap\n\nLast paragraph."
}

type commandLine struct {
	Act   command  `cmd:"" help:"Acts."`
	Group struct { // a command of commands
		List struct{} `cmd:"" help:"Lists."`
	} `cmd:"" help:"A group."`
	Hidden struct{} `cmd:"" hidden:"" help:"Hidden."`
}

func written(t *testing.T) string {
	t.Helper()
	parser, err := kong.New(new(commandLine), kong.Name("tool"), kong.Description("Does things."))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := Write(&b, parser.Model, Sections{{"EXIT STATUS", "0 is good."}}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWrite(t *testing.T) {
	const want = `.TH "TOOL" "1" "" "tool" "User Commands"
.ad l
.SH "NAME"
tool \- Does things
.SH "SYNOPSIS"
\fBtool act\fR <target> [flags]
.br
\fBtool group list\fR
.SH "COMMANDS"
.SS "act"
Acts.
.PP
First paragraph.
Still the first.
.PP
.RS "4"
.EX
an example
\&.with a dot

and \e a gap
.EE
.RE
.PP
Last paragraph.
.TP
\fI<target>\fR
What to act on.
.TP
\fB\-f, \-\-force\fR
Do it, whatever it\(aqs called.
.TP
\fB\-\-mode\fR=\fI"0600"\fR
Octal (0600).
.SS "group list"
Lists.
.SH "EXIT STATUS"
0 is good.
`
	if got := written(t); got != want {
		t.Errorf("got\n%s", got)
	}
}

const packageComment = `Command tool does things. It does them well:

	tool thing

# Exit status

	0  good

Any other is bad, see [os.Exit].

  - One item.
  - Another.
`

func writtenComment(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := WriteComment(&b, "tool", "1", packageComment); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteComment(t *testing.T) {
	const want = `.TH "TOOL" "1" "" "tool" "User Commands"
.SH "NAME"
tool \- does things
.SH "DESCRIPTION"
Command tool does things. It does them well:
.PP
.RS "4"
.EX
tool thing
.EE
.RE
.SH "EXIT STATUS"
.RS "4"
.EX
0  good
.EE
.RE
.PP
Any other is bad, see os.Exit.
.TP "4"
\(bu
One item.
.TP "4"
\(bu
Another.
`
	if got := writtenComment(t); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestReadable has a formatter look for mistakes. There is no date on purpose.
func TestReadable(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		if os.Getenv("CREDRPC_CI") == "1" {
			t.Fatal("mandoc of the Debian package mandoc is not installed")
		}
		t.Skip("mandoc of the Debian package mandoc is not installed")
	}
	for _, page := range []string{written(t), writtenComment(t)} {
		lint := exec.Command(mandoc, "-T", "lint", "-W", "warning")
		lint.Stdin = strings.NewReader(page)
		out, _ := lint.CombinedOutput() // its status counts the missing date too
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "missing date") {
				t.Error(line)
			}
		}
	}
}
