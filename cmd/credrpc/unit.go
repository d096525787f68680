package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"credrpc/internal/unit"

	"github.com/alecthomas/kong"
)

// unitCommand has all flags of serve.
type unitCommand struct {
	Name    string   `setting:"-" placeholder:"NAME" help:"Name of the units, without suffix (that of the socket, without directory and suffix)."`
	Also    []string `sep:"none" setting:"-" placeholder:"PATH" help:"A further socket of the service. May be given several times."`
	Credrpc string   `default:"/usr/bin/credrpc" setting:"-" placeholder:"PATH" help:"Where this program is on the system that the units are for (${default})."`
	Output  string   `setting:"-" placeholder:"DIR" help:"Write the files into this directory, none of which may exist."`
	serveCommand
}

// Help says what is made of the flags.
func (*unitCommand) Help() string {
	return `Takes the flags of serve, checks them as serve does, and prints a socket unit, a service unit and an AppArmor ` +
		`profile for a service that is started with them by its first caller. --listen, --mode, --owner and --group go to ` +
		`the socket unit. What the service may do is what the flags need: with --handler exec programs may be run, ` +
		`--rules may be read, and --sandbox-read, --sandbox-write, --sandbox-execute and --sandbox-capability say what ` +
		`else it keeps, also without --sandbox. What --control, --metrics and --audit-to make has directories of its own, such as ` +
		`/run/NAME and /var/log/NAME, that systemd makes. Settings of --config and of the environment become flags of ` +
		`the unit. Paths are absolute. docs/SYSTEMD.md says what each directive does.

    credrpc unit --listen /run/date.sock --mode 0666 --handler exec --rules /etc/date/rules -- /bin/date -u`
}

// hideServing makes the flags that unit shares with serve not be listed again, but those
// that the socket unit has.
func hideServing(k *kong.Kong) error {
	known := make(map[string]bool)
	for _, command := range k.Model.Children {
		for _, flag := range command.Flags {
			switch {
			case command.Name == "serve":
				known[flag.Name] = true
			case command.Name == "unit" && known[flag.Name]:
				flag.Hidden = !slices.Contains(socketFlags, flag.Name) && flag.Name != "help"
			}
		}
	}
	return nil
}

// socketFlags go to the socket unit and not to serve.
var socketFlags = []string{"listen", "mode", "owner", "group"}

// Run prints the files, or writes them.
func (c *unitCommand) Run(ctx *kong.Context, s streams) error {
	if err := c.check(s); err != nil {
		return err
	}
	flags, err := c.flags(ctx)
	if err != nil {
		return err
	}
	files, err := c.settings(flags).Files()
	if err != nil {
		return usageError("%w", err)
	}
	if c.Output != "" {
		return writeUnits(c.Output, files, s.err)
	}
	for _, f := range files {
		if _, err := fmt.Fprintf(s.out, "# ---- %s\n%s\n", filepath.Join(f.Place, f.Name), f.Text); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error for flags with which serve would not start.
func (c *unitCommand) check(s streams) error {
	for _, socket := range append([]string{c.Listen}, c.Also...) {
		if !filepath.IsAbs(socket) && !strings.HasPrefix(socket, "@") {
			return usageError("--listen, --also: %q: want an absolute path, or @ and an abstract name", socket)
		}
	}
	made := c.serveCommand // what the socket unit says
	made.ExitWhenIdle = 0
	if _, err := made.server(s); err != nil {
		return err
	}
	started := c.serveCommand // what the service is started with
	started.Listen, started.Mode, started.Owner, started.Group = fromSystemd, defaultMode, "", ""
	if _, err := started.server(s); err != nil {
		return err
	}
	if err := c.checkMade(); err != nil {
		return err
	}
	started.Sandbox = true // its flags mean something to the unit without it too
	if err := started.checkSandbox(); err != nil {
		return err
	}
	if c.Rules == nil && (c.Identity || c.Compatible) || c.Rules != nil && *c.Rules == "" {
		return usageError("--rules: is missing or empty")
	}
	return c.checkExec(c.Rules != nil)
}

// checkMade returns an error for flags about what the service makes, beside its sockets,
// with which it would not start, or not as a unit.
func (c *unitCommand) checkMade() error {
	if err := c.checkWatch(); err != nil {
		return err
	}
	if err := c.checkControl(); err != nil {
		return err
	}
	_, socket := c.metricsSocket()
	switch {
	case c.Metrics != "" && !socket:
		return usageError("--metrics: the service has no network; want unix:PATH")
	case len(c.Also) > 0 && (c.Metrics != "" || c.Control != ""):
		return usageError("--metrics, --control: these show one server, of one socket; give each socket a service of its own")
	}
	for _, p := range c.places() {
		if !filepath.IsAbs(p.path) {
			return usageError("%s: %q: want an absolute path; systemd starts services in /", p.flag, p.path)
		}
	}
	return c.checkPlaces()
}

// flags returns the flags that serve is to have, as they were given.
func (c *unitCommand) flags(ctx *kong.Context) (list []string, err error) {
	var seen []string
	for _, element := range ctx.Path {
		f := element.Flag
		if f == nil || slices.Contains(seen, f.Name) || !c.serves(ctx, f.Name) {
			continue
		}
		seen = append(seen, f.Name)
		values := []reflect.Value{reflect.Indirect(f.Target)}
		if values[0].Kind() == reflect.Slice {
			values = slices.Collect(elements(values[0]))
		}
		for _, value := range values {
			text := fmt.Sprint(value)
			switch {
			case f.PlaceHolder == "PATH" && !filepath.IsAbs(text):
				return nil, usageError("--%s: %q: want an absolute path; systemd starts services in /", f.Name, text)
			case text == "true" && f.IsBool():
				list = append(list, "--"+f.Name)
			default:
				list = append(list, "--"+f.Name+"="+text)
			}
		}
	}
	return list, nil
}

// elements yields the elements of a slice.
func elements(slice reflect.Value) func(func(reflect.Value) bool) {
	return func(yield func(reflect.Value) bool) {
		for i := range slice.Len() {
			if !yield(slice.Index(i)) {
				return
			}
		}
	}
}

// serves reports whether a flag is one that serve is to have. The file of --config is not
// read again: it may contradict the socket unit, and what it says has become flags.
func (c *unitCommand) serves(ctx *kong.Context, name string) bool {
	if slices.Contains(socketFlags, name) || name == "config" || strings.HasPrefix(name, "sandbox-") && !c.Sandbox {
		return false
	}
	for _, command := range ctx.Model.Children {
		if command.Name == "serve" {
			return slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool { return f.Name == name })
		}
	}
	return false
}

// settings returns what the flags need.
func (c *unitCommand) settings(flags []string) unit.Settings {
	name := c.Name
	if name == "" {
		base := strings.TrimPrefix(filepath.Base(c.Listen), "@")
		name = strings.TrimSuffix(base, filepath.Ext(base))
	}
	s := unit.Settings{
		Name: name, Program: c.Credrpc, Flags: flags, Command: c.Program,
		Sockets: append([]string{c.Listen}, c.Also...),
		Mode:    c.Mode, Owner: c.Owner, Group: c.Group,
		Programs: c.Handler == execHandler, Sandbox: c.Sandbox,
		Makes: c.directories(), Journal: c.auditsToJournal(),
		Read: slices.Clone(c.SandboxRead), Write: c.SandboxWrite, Execute: c.SandboxExecute, Capabilities: c.SandboxCapability,
		MaxCalls: c.MaxCalls, Timeout: c.Timeout,
	}
	if c.Rules != nil {
		s.Rules = *c.Rules
	}
	if c.ControlRules != nil {
		s.Read = append(s.Read, *c.ControlRules)
	}
	return s
}

// directories returns where serving makes files, each once. The sockets are systemd's.
func (c *unitCommand) directories() (list []string) {
	for _, p := range c.places() {
		if dir := filepath.Dir(p.path); p.flag != "--listen" && !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	return list
}

// writeUnits writes files into a directory and says where they belong.
func writeUnits(dir string, files []unit.File, log io.Writer) error {
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("--output: %w", err)
		}
		if _, err = file.WriteString(f.Text); err == nil {
			err = file.Close()
		}
		if err != nil {
			return fmt.Errorf("--output: %w", err)
		}
		fmt.Fprintf(log, "credrpc: %s belongs into %s\n", path, f.Place)
	}
	return nil
}
