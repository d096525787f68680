package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"credrpc/internal/settings"
	"credrpc/internal/unit"

	"github.com/alecthomas/kong"
)

// unitCommand has all flags of serve.
type unitCommand struct {
	Name    string   `setting:"-" placeholder:"NAME" help:"Name of the units, without suffix (that of the socket, without directory and suffix)."`
	Also    []string `setting:"-" sep:"none" placeholder:"PATH" help:"A further socket of the service. May be given several times."`
	Credrpc string   `setting:"-" default:"/usr/bin/credrpc" placeholder:"PATH" help:"Where this program is on the system that the units are for (${default})."`
	Output  string   `setting:"-" placeholder:"DIR" help:"Write the files into this directory, none of which may exist."`
	serveCommand
}

// Help says what is made of the flags.
func (*unitCommand) Help() string {
	return `Takes the flags of serve, and those of the file of --config, checks them as serve does, and prints a socket ` +
		`unit, a service unit and an AppArmor profile for a service that is started with them by its first caller. ` +
		`--listen, --mode, --owner and --group go to the socket unit. What the service may do is what the flags need: ` +
		`with --handler exec programs may be run, --rules may be read, the directories of --control, --metrics and ` +
		`--audit-to may be written in, and --sandbox-read, --sandbox-write, --sandbox-execute and --sandbox-capability ` +
		`say what else it keeps, also without --sandbox. Paths are absolute. When the file of --config changes, make the ` +
		`units anew. docs/SYSTEMD.md says what each directive does.

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
	return c.Explain(c.print(ctx, s))
}

// print is Run, whose errors do not say yet where a setting was given.
func (c *unitCommand) print(ctx *kong.Context, s streams) error {
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
	if err := c.checkOrigins(); err != nil {
		return err
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
	started.Sandbox = true // its flags mean something to the unit without it too
	if err := started.checkSandbox(); err != nil {
		return err
	}
	if c.Rules == nil && (c.Identity || c.Compatible) || c.Rules != nil && *c.Rules == "" {
		return usageError("--rules: is missing or empty")
	}
	if err := c.checkExec(c.Rules != nil); err != nil {
		return err
	}
	if err := c.checkWatch(); err != nil {
		return err
	}
	if err := c.checkControl(); err != nil {
		return err
	}
	return c.checkPlaces()
}

// checkOrigins returns an error for settings that the service would not get, or refuse,
// because of where they were given: variables of this process, and in the file what only
// the socket unit or the command line can say.
func (c *unitCommand) checkOrigins() error {
	for _, setting := range c.InForce() {
		name, from := setting.Name, setting.From
		switch {
		case from == settings.FromEnvironment:
			return usageError("--%s: the service does not have this variable; give the flag, or write the setting into the file of --config", name)
		case from != settings.FromFile:
		case name != "listen" && slices.Contains(socketFlags, name):
			return usageError("--%s: serve refuses this in a file when systemd has made the socket; give it to credrpc unit as a flag", name)
		case strings.HasPrefix(name, "sandbox-") && !c.Sandbox:
			return c.checkSandbox()
		}
	}
	return nil
}

// from returns where a setting was given.
func (c *unitCommand) from(name string) settings.Place {
	for _, setting := range c.InForce() {
		if setting.Name == name {
			return setting.From
		}
	}
	return settings.FromDefault
}

// flags returns the flags that serve is to have, as they were given on the command line;
// it reads the file by itself.
func (c *unitCommand) flags(ctx *kong.Context) (list []string, err error) {
	var seen []string
	for _, element := range ctx.Path {
		f := element.Flag
		if f == nil || slices.Contains(seen, f.Name) || !c.serves(ctx, f.Name) || c.from(f.Name) != settings.FromFlag {
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

// serves reports whether a flag is one that serve is to have.
func (c *unitCommand) serves(ctx *kong.Context, name string) bool {
	if slices.Contains(socketFlags, name) || strings.HasPrefix(name, "sandbox-") && !c.Sandbox {
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
		Config: c.Config, Programs: c.Handler == execHandler, Sandbox: c.Sandbox,
		Journal: c.auditsToJournal(),
		Read:    c.SandboxRead, Write: c.SandboxWrite, Execute: c.SandboxExecute, Capabilities: c.SandboxCapability,
		MaxCalls: c.MaxCalls, Timeout: c.Timeout,
	}
	if c.Rules != nil {
		s.Rules = *c.Rules
	}
	if c.ControlRules != nil {
		s.Read = append(slices.Clone(s.Read), *c.ControlRules)
	}
	if len(c.Program) > 0 && c.from("program") == settings.FromFile { // the service reads it there
		s.Command, s.Execute = nil, append(slices.Clone(s.Execute), c.Program[0])
	}
	if c.Control != "" {
		s.Makes = append(s.Makes, c.Control)
	}
	if path, socket := c.metricsSocket(); socket {
		s.Makes = append(s.Makes, path)
	} else {
		s.Address = c.Metrics
	}
	s.Log, _ = c.auditFile()
	return s
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
