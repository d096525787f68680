package unit

import (
	"embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Settings are what a service needs. Paths are absolute.
type Settings struct {
	Name    string   // of the units, without suffix; of a template it ends in @
	Program string   // path of credrpc
	Flags   []string // of serve, besides --listen and --sandbox-...
	Command []string // with --handler exec: program and arguments; empty: the handler is built in
	Sockets []string // paths, or names that begin with @

	Mode, Owner, Group string // of the sockets; "" is 0600 and root

	Config   string // path of the file of settings that Flags name, or ""
	Rules    string // path of the rules, or ""
	Programs bool   // programs may be run
	Sandbox  bool   // the service gives up by itself what it does not need

	Makes   []string // paths of sockets that the service makes: of operators, for metrics
	Log     string   // path of a file that the service makes and appends to, or ""
	Journal bool     // the service writes to the journal's own socket
	Address string   // at which the service listens for TCP connections, such as 127.0.0.1:9436; or ""

	Read, Write, Execute []string // further paths
	Capabilities         []string // that are kept

	MaxCalls int           // of each socket
	Timeout  time.Duration // of a call
}

// A File is one of those that a service needs.
type File struct {
	Name  string // such as whoami.socket
	Place string // directory where it belongs on a system
	Text  string
}

// hidden are the directories that the service does not have, or has others of.
var hidden = []string{"/home", "/root", "/run/user", "/tmp", "/var/tmp", "/boot"}

// systemPrograms are where programs and their libraries are.
const systemPrograms = "/usr -/bin -/sbin -/lib -/lib32 -/lib64"

//go:embed templates
var templates embed.FS

// Deploy returns the settings of the units under deploy: a template, of which each
// instance has its settings in a file. What a file may ask for cannot be known here: those
// of Deploy let it have programs, a sandbox, and sockets and a log in directories of the
// instance.
func Deploy() Settings {
	return Settings{
		Name:     "credrpc@",
		Program:  "/usr/bin/credrpc",
		Flags:    []string{"--config=/etc/credrpc/" + Instance + ".toml"},
		Sockets:  []string{"/run/credrpc/" + Instance + ".sock"},
		Mode:     "0666",
		Config:   "/etc/credrpc/" + Instance + ".toml",
		Rules:    "/etc/credrpc/" + Instance,
		Programs: true,
		Sandbox:  true,
		Makes:    []string{"/run/credrpc/" + Instance + "/control.sock", "/run/credrpc/" + Instance + "/metrics.sock"},
		Log:      "/var/log/credrpc/" + Instance + "/audit.log",
		Journal:  true,
		MaxCalls: 4096,
		Timeout:  30 * time.Second,
	}
}

// Files returns the socket unit, the service unit and the AppArmor profile. It returns an
// error for what cannot be written into them, or what the service could not reach.
func (s Settings) Files() ([]File, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var files []File
	for _, f := range []struct{ template, name, place string }{
		{"socket", s.Name + ".socket", "/etc/systemd/system"},
		{"service", s.Name + ".service", "/etc/systemd/system"},
		{"apparmor", s.Profile(), "/etc/apparmor.d"},
	} {
		text, err := s.write(f.template)
		if err != nil {
			return nil, err
		}
		files = append(files, File{f.name, f.place, text})
	}
	return files, nil
}

// Profile returns the name of the AppArmor profile.
func (s Settings) Profile() string {
	if name := strings.TrimSuffix(s.Name, "@"); name != "credrpc" {
		return "credrpc-" + name
	}
	return "credrpc"
}

// write fills in a template.
func (s Settings) write(name string) (string, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"line": line, "word": word, "arg": arg, "glob": glob,
		"lower": strings.ToLower, "cut": func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
		"join": strings.Join,
	}).ParseFS(templates, "templates/"+name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.ExecuteTemplate(&b, name, s)
	return b.String(), err
}

// check returns an error for values that the files cannot hold.
func (s Settings) check() error {
	if strings.Trim(s.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@") != "" || s.Name == "" {
		return fmt.Errorf("name %q: want letters, digits, and -_. of a unit's name", s.Name)
	}
	for _, name := range s.Capabilities {
		if bare, ok := strings.CutPrefix(name, "CAP_"); !ok || strings.Trim(bare, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
			return fmt.Errorf("capability %q: want a name such as CAP_CHOWN", name)
		}
	}
	for _, value := range slices.Concat(s.Flags, s.Command, s.Sockets, s.paths(), []string{s.Mode, s.Owner, s.Group}) {
		if !writable(value) {
			return fmt.Errorf("%q cannot be written into a unit: it has control characters, or white space or a backslash at an end", value)
		}
	}
	for _, path := range s.paths() {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%q: want an absolute path; systemd starts services in /", path)
		}
		for _, dir := range hidden {
			if path == dir || strings.HasPrefix(path, dir+"/") {
				return fmt.Errorf("%q is in %s, which the service does not see; move it", path, dir)
			}
		}
	}
	if strings.ContainsAny(s.Program, `$"' \`) {
		return fmt.Errorf("%q: want a path without quotes, spaces, backslashes and $", s.Program)
	}
	return s.checkMade()
}

// paths returns all that the service has to reach in the file system.
func (s Settings) paths() []string {
	paths := slices.Concat([]string{s.Program}, s.Read, s.Write, s.Execute, s.made())
	for _, path := range []string{s.Config, s.Rules} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	if len(s.Command) > 0 {
		paths = append(paths, s.Command[0])
	}
	return paths
}

// ExecStart returns the arguments of the program, as the unit has them.
func (s Settings) ExecStart() string {
	words := []string{line(s.Program), "serve", "--listen=systemd:"}
	for _, flag := range s.Flags {
		words = append(words, arg(flag))
	}
	if len(s.Command) > 0 {
		words = append(words, "--")
		for _, a := range s.Command {
			words = append(words, arg(a))
		}
	}
	return strings.Join(words, " ")
}

// ExecPaths returns what may be executed.
func (s Settings) ExecPaths() string {
	words := []string{word(s.Program)}
	if s.Programs {
		words = append(words, systemPrograms)
		if len(s.Command) > 0 && !strings.HasPrefix(s.Command[0], "/usr/") {
			words = append(words, word(s.Command[0]))
		}
	}
	for _, path := range s.Execute {
		words = append(words, word(path))
	}
	return strings.Join(words, " ")
}

// Descriptors returns how many descriptors the process may have open: connections, those
// that are refused meanwhile, pipes of programs.
func (s Settings) Descriptors() int { return 4096 + len(s.Sockets)*(s.MaxCalls+s.MaxCalls/64+2048) }

// Tasks returns how many threads and processes there may be: those of Go's runtime, and
// programs with some processes each.
func (s Settings) Tasks() int {
	if s.Programs {
		return 512 * len(s.Sockets)
	}
	return 128 * len(s.Sockets)
}

// StopSeconds is more than an answer in flight takes.
func (s Settings) StopSeconds() int { return int(s.Timeout/time.Second) + 15 }

// SystemCalls returns what is allowed beyond the set of services.
func (s Settings) SystemCalls() string {
	var calls []string
	if s.Sandbox {
		calls = append(calls, "capset seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self")
	}
	for capability, set := range map[string]string{"CAP_CHOWN": "@chown", "CAP_SETUID": "@setuid", "CAP_SETGID": "@setuid"} {
		if slices.Contains(s.Capabilities, capability) && !slices.Contains(calls, set) {
			calls = append(calls, set)
		}
	}
	slices.Sort(calls)
	return strings.Join(calls, " ")
}
