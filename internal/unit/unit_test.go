package unit

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdunit "github.com/coreos/go-systemd/v22/unit"
)

//go:generate go test . -run TestDeploy -update
var update = flag.Bool("update", false, "write the files under deploy anew")

// mostExposure is the most that systemd-analyze may find open, of 10.
const mostExposure = 1.5

// need skips a test for lack of a program.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(err)
	}
	t.Skipf("needs %s", program)
	return ""
}

// files returns the files of s.
func files(t *testing.T, s Settings) []File {
	t.Helper()
	files, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDeploy checks that the files under deploy are those of the templates. "go generate
// ./internal/unit" makes them anew.
func TestDeploy(t *testing.T) {
	for _, f := range files(t, Deploy()) {
		path := filepath.Join("../../deploy", map[bool]string{true: "apparmor", false: "systemd"}[f.Place == "/etc/apparmor.d"], f.Name)
		if *update {
			if err := os.WriteFile(path, []byte(f.Text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != f.Text {
			t.Errorf("%s is not what the template says, %v; run \"go generate ./internal/unit\"", path, err)
		}
	}
}

// several are settings of different kinds.
func several() map[string]Settings {
	plain := Settings{
		Name: "whoami", Program: "/usr/bin/credrpc", Flags: []string{"--handler=whoami", "--rules=/etc/whoami/rules.cdb"},
		Sockets: []string{"/run/whoami.sock"}, Rules: "/etc/whoami/rules.cdb", Mode: "0660", Group: "adm", MaxCalls: 4096, Timeout: 30 * time.Second,
	}
	program := plain
	program.Name, program.Programs = "dates", true
	program.Command = []string{"/opt/dates/bin/date $HOME", "-u", "+%Y 100%", `"quoted" \n`, "", "two words", ";", "a;b", "#", "'"}
	program.Sockets = []string{"/run/dates/a b.sock", "/run/100%.sock", "@dates"}
	program.Read, program.Write = []string{"/srv/data with space", "/srv/[a]*{b}?"}, []string{`/srv/out "put"`, "/srv/100%"}
	program.Execute = []string{"/opt/dates"}
	program.Rules = "/etc/dates/the rules@{HOME}"
	sandbox := plain
	sandbox.Name, sandbox.Sandbox, sandbox.Capabilities = "chown", true, []string{"CAP_CHOWN", "CAP_FOWNER"}
	watched := program
	watched.Name, watched.Config, watched.Journal = "watched", "/etc/watched/the settings 100%.toml", true
	watched.Makes = []string{"/run/watched/a b/control.sock", "/run/dates/metrics.sock", "/srv/sockets/100%"}
	watched.Log = "/var/log/watched/100% audit.log"
	address := plain
	address.Name, address.Address = "address", "127.0.0.1:9436"
	localhost := program
	localhost.Name, localhost.Address = "localhost", "localhost:9436"
	return map[string]Settings{
		"template": Deploy(), "plain": plain, "program": program, "sandbox": sandbox,
		"watched": watched, "address": address, "localhost": localhost,
	}
}

// write writes the files of s, with the program that is there, and returns their paths.
func write(t *testing.T, s Settings) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	s.Program = "/bin/true" // there on every system
	for _, f := range files(t, s) {
		path := filepath.Join(dir, f.Name)
		if err := os.WriteFile(path, []byte(f.Text), 0o644); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// TestExposure asks systemd how much the service can do that it need not.
func TestExposure(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	for name, s := range several() {
		t.Run(name, func(t *testing.T) {
			out, _ := exec.Command(analyze, "security", "--offline=true", "--no-pager", write(t, s)[1]).CombinedOutput()
			found := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+) `).FindSubmatch(out)
			if found == nil {
				t.Fatalf("%s", out)
			}
			exposure, err := strconv.ParseFloat(string(found[1]), 64)
			t.Logf("exposure %v", exposure)
			if err != nil || exposure > mostExposure {
				t.Errorf("exposure %s is over %v:\n%s", found[1], mostExposure, out)
			}
		})
	}
}

// TestVerify has systemd read the units. It prints what it does not understand.
func TestVerify(t *testing.T) {
	analyze := need(t, "systemd-analyze")
	for name, s := range several() {
		t.Run(name, func(t *testing.T) {
			paths := write(t, s)[:2]
			for i, path := range paths {
				if instance := strings.Replace(path, "@.", "@one.", 1); instance != path {
					if err := os.Symlink(path, instance); err != nil {
						t.Fatal(err)
					}
					paths[i] = instance
				}
			}
			cmd := exec.Command(analyze, append([]string{"verify", "--man=no"}, paths...)...)
			out, err := cmd.CombinedOutput()
			if ours := about(string(out), paths); err != nil || ours != "" {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// about returns those lines of text that are about the units, not about others of this
// system.
func about(text string, paths []string) (ours string) {
	for line := range strings.Lines(text) {
		for _, path := range paths {
			if strings.Contains(line, filepath.Base(path)) {
				ours += line
				break
			}
		}
	}
	return ours
}

// TestProfile has AppArmor's compiler read the profiles; the kernel need not know them.
func TestProfile(t *testing.T) {
	parser, err := exec.LookPath("/usr/sbin/apparmor_parser")
	if err != nil {
		parser = need(t, "apparmor_parser")
	}
	for name, s := range several() {
		path := write(t, s)[2]
		if out, err := exec.Command(parser, "-Q", "-K", "--skip-kernel-load", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v, %s", name, err, out)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, slices.Concat(text, []byte("capability no_such_thing,\n")), 0o644); err != nil {
			t.Fatal(err)
		}
		if exec.Command(parser, "-Q", "-K", "--skip-kernel-load", path).Run() == nil {
			t.Error("the parser takes anything")
		}
	}
}

// TestNothingTwice reads the units with another parser: of those that do not add up, each
// directive is there once.
func TestNothingTwice(t *testing.T) {
	lists := []string{"ListenStream", "SystemCallFilter", "ReadWritePaths"}
	for name, s := range several() {
		for _, f := range files(t, s)[:2] {
			options, err := sdunit.DeserializeOptions(strings.NewReader(f.Text))
			if err != nil {
				t.Fatal(err)
			}
			seen := make(map[string]bool)
			for _, o := range options {
				if seen[o.Name] && !slices.Contains(lists, o.Name) {
					t.Errorf("%s: %s= twice in %s", name, o.Name, f.Name)
				}
				seen[o.Name] = true
			}
		}
	}
}

// TestMade checks who makes which directory, and what may be written.
func TestMade(t *testing.T) {
	settings := several()
	for name, want := range map[string][]string{
		"plain": {"PrivateNetwork=yes", "IPAddressDeny=any", "RestrictAddressFamilies=AF_UNIX"},
		"watched": {
			`RuntimeDirectory="watched/a b"`, "LogsDirectory=watched", "PrivateNetwork=yes",
			"ReadWritePaths=/run/dates", "ReadWritePaths=/srv/sockets", // the first is the socket unit's
		},
		"template":  {"RuntimeDirectory=credrpc/%i", "LogsDirectory=credrpc/%i"},
		"address":   {"IPAddressDeny=any", "IPAddressAllow=localhost", "SocketBindDeny=any", "SocketBindAllow=tcp:9436", "RestrictAddressFamilies=AF_UNIX AF_INET"},
		"localhost": {"IPAddressAllow=localhost", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"},
	} {
		text := files(t, settings[name])[1].Text
		for _, line := range want {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("%s: there is no line %q in\n%s", name, line, text)
			}
		}
		if address := settings[name].Address; (address != "") == strings.Contains(text, "\nPrivateNetwork=yes\n") {
			t.Errorf("%s: address %q, and\n%s", name, address, text)
		}
	}
	everywhere := settings["plain"]
	for _, everywhere.Address = range []string{":9436", "0.0.0.0:9436", "[2001:db8::1]:9436"} {
		text := files(t, everywhere)[1].Text
		if strings.Contains(text, "IPAddressDeny") || !strings.Contains(text, "SocketBindAllow=tcp:9436") {
			t.Errorf("%s: %s", everywhere.Address, text)
		}
	}
	for what, profile := range map[string]string{
		`  "/run/watched/a b/control.sock" rw,`:       files(t, settings["watched"])[2].Text,
		`  "/run/watched/a b/control.sock.lock" rwk,`: files(t, settings["watched"])[2].Text,
		`  "/var/log/watched/100% audit.log" rw,`:     files(t, settings["watched"])[2].Text,
		`  "/etc/watched/the settings 100%.toml" r,`:  files(t, settings["watched"])[2].Text,
		"  /run/systemd/journal/socket w,":            files(t, settings["watched"])[2].Text,
		"  network inet stream,":                      files(t, settings["address"])[2].Text,
		"  network inet6 stream,":                     files(t, settings["localhost"])[2].Text,
		"  deny network inet,\n  deny network inet6,": files(t, settings["watched"])[2].Text,
	} {
		if !strings.Contains(profile, what+"\n") {
			t.Errorf("there is no line %q in\n%s", what, profile)
		}
	}
	if profile := files(t, settings["plain"])[2].Text; strings.Contains(profile, "bind") || strings.Contains(profile, "journal") {
		t.Errorf("it may make sockets, or write to the journal:\n%s", profile)
	}
}

// TestEscape writes what means something to systemd and to AppArmor.
func TestEscape(t *testing.T) {
	for _, tt := range []struct{ in, line, arg, glob string }{
		{"/plain", "/plain", "/plain", `"/plain"`},
		{"/a b", "/a b", `"/a b"`, `"/a b"`},
		{"100%", "100%%", "100%%", `"100%"`},
		{"$HOME", "$HOME", "$$HOME", `"$HOME"`},
		{`say "x"\`, `say "x"\`, `"say \"x\"\\"`, `"say \"x\"\\"`},
		{"", "", `""`, `""`},
		{";", ";", `";"`, `";"`},
		{"/*[a]{b}", "/*[a]{b}", "/*[a]{b}", `"/\*\[a\]\{b\}"`},
		{"/x/" + Instance, "/x/%i", "/x/%i", `"/x/*"`},
	} {
		if got := line(tt.in); got != tt.line {
			t.Errorf("line %q: %s", tt.in, got)
		}
		if got := arg(tt.in); got != tt.arg {
			t.Errorf("arg %q: %s", tt.in, got)
		}
		if got := glob(tt.in); got != tt.glob {
			t.Errorf("glob %q: %s", tt.in, got)
		}
	}
}

// TestUnwritable refuses what the files cannot hold and the service could not see.
func TestUnwritable(t *testing.T) {
	for name, change := range map[string]func(*Settings){
		"name":                   func(s *Settings) { s.Name = "a b" },
		"no name":                func(s *Settings) { s.Name = "" },
		"line in a socket":       func(s *Settings) { s.Sockets = []string{"/run/a\nListenStream=/run/b"} },
		"line in an argument":    func(s *Settings) { s.Flags = []string{"--x\nUser=nobody"} },
		"space at the end":       func(s *Settings) { s.Sockets = []string{"/run/a "} },
		"backslash at the end":   func(s *Settings) { s.Sockets = []string{`/run/a\`} },
		"relative rules":         func(s *Settings) { s.Rules = "rules" },
		"rules at home":          func(s *Settings) { s.Rules = "/home/me/rules" },
		"program in /tmp":        func(s *Settings) { s.Command = []string{"/tmp/x"} },
		"credrpc with spaces":    func(s *Settings) { s.Program = "/usr/my bin/credrpc" },
		"capability":             func(s *Settings) { s.Capabilities = []string{"CAP_CHOWN\nUser=nobody"} },
		"group":                  func(s *Settings) { s.Group = "adm\n" },
		"settings at home":       func(s *Settings) { s.Config = "/home/me/date.toml" },
		"relative socket":        func(s *Settings) { s.Makes = []string{"control.sock"} },
		"socket in /tmp":         func(s *Settings) { s.Makes = []string{"/tmp/date/control.sock"} },
		"socket in /run":         func(s *Settings) { s.Makes = []string{"/run/control.sock"} },
		"socket in a link":       func(s *Settings) { s.Makes = []string{"/var/run/date/control.sock"} },
		"directory with a colon": func(s *Settings) { s.Makes = []string{"/run/date:link/control.sock"} },
		"any port":               func(s *Settings) { s.Address = "127.0.0.1:0" },
		"log in /var/log":        func(s *Settings) { s.Log = "/var/log/date.log" },
		"another line for a log": func(s *Settings) { s.Log = "/var/log/date/x\nUser=nobody" },
		"another line for rules": func(s *Settings) { s.Rules = "/etc/x\n/** rw," },
	} {
		s := several()["plain"]
		change(&s)
		if files, err := s.Files(); err == nil {
			t.Errorf("%s: %s", name, files[0].Text)
		}
	}
}
