//go:build !race

package release

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of a test that is about to fail.
const patience = 8 * time.Minute

// What the release of these tests is called, so that it does not depend on git.
var release = []string{"VERSION=v1.2.3", "COMMIT=0123456789abcdef0123456789abcdef01234567", "DATE=2026-01-02T03:04:05Z"}

// missing skips a test that lacks something, where that may be.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CREDRPC_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// need skips the test unless programs are installed.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program+" is not installed")
		}
	}
}

// output runs a program and returns what it writes to standard output.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = slices.Concat(os.Environ(), release, []string{"LEVEL=1", "NFPM=" + built.packer})
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, out, &stderr)
	}
	return string(out)
}

// built is a release for this architecture, of the directory of the test.
var built struct {
	sync.Once
	dir    string
	packer string // nfpm
}

// files returns the path of the release.
func files(t *testing.T) (dir string) {
	t.Helper()
	need(t, "gzip", "tar", "sha256sum")
	built.Do(func() {
		dir, err := os.MkdirTemp("", "credrpc-release")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
		packer := filepath.Join(dir, "bin", "nfpm")
		output(t, "go", "-C", "../../tools", "build", "-o", packer, "github.com/goreleaser/nfpm/v2/cmd/nfpm")
		built.packer = packer
		output(t, "./build", dir, "all", runtime.GOARCH)
	})
	if _, err := os.Stat(filepath.Join(built.dir, "SHA256SUMS")); err != nil {
		t.Fatal("there is no release")
	}
	return built.dir
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

// one returns the only file of the release that a pattern matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(files(t), pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// TestReproducible builds the source in another directory. The cache of the go command
// has the packages; that its own results do not depend on the directory is what
// "make release-check" checks, with an empty one.
func TestReproducible(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(files(t), "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	source, out := filepath.Join(t.TempDir(), "elsewhere"), t.TempDir()
	copySource(t, source)
	output(t, filepath.Join(source, "deploy/release/build"), out, "all", runtime.GOARCH)
	got, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
	if err != nil || string(got) != string(want) {
		t.Errorf("%v, elsewhere\n%shere\n%s", err, got, want)
	}
	if lines := strings.Count(string(want), "\n"); lines != 5 {
		t.Errorf("%d files: %s", lines, want)
	}
}

// copySource copies the project without what is built or kept by git.
func copySource(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == ".git" || path == "../../bin" || path == "../../dist") {
			return fs.SkipDir
		}
		target := filepath.Join(to, strings.TrimPrefix(path, "../.."))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, info.Mode())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestArchive checks that programs are there and know their version, and run nowhere
// near a C library.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	output(t, "tar", "-C", dir, "-xzf", one(t, "*.tar.gz"))
	tree := filepath.Join(dir, "credrpc_1.2.3_linux_"+runtime.GOARCH)
	const version = "v1.2.3\ncommit  0123456789abcdef0123456789abcdef01234567\ndate    2026-01-02T03:04:05Z\ngo      go"
	for _, program := range []string{"credrpc", "credrpc-bench"} {
		if got := output(t, filepath.Join(tree, "bin", program), "version"); !strings.HasPrefix(got, program+" "+version) {
			t.Errorf("%q", got)
		}
	}
	for _, file := range []string{"bin/credrpc-access", "README.md", "docs/SECURITY.md", "LICENSE", "CHANGELOG.md", "man/man1/credrpc.1", "completions/zsh/_credrpc", "examples/credrpc.toml", "examples/rules/uid/0/allow"} {
		if _, err := os.Stat(filepath.Join(tree, file)); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(tree, "bin/credrpc"))
	if err != nil || bytes.Contains(text, []byte("ld-linux")) {
		t.Errorf("%v; the program wants a dynamic linker", err)
	}
}

// contents lists a Debian package: mode, owner and group of each path.
func contents(t *testing.T, name string) map[string]string {
	t.Helper()
	need(t, "dpkg-deb")
	list := make(map[string]string)
	for line := range strings.Lines(output(t, "dpkg-deb", "-c", one(t, name+"_*.deb"))) {
		fields := strings.Fields(line)
		list[strings.TrimPrefix(fields[5], ".")] = fields[0] + " " + fields[1]
	}
	return list
}

func TestDebContents(t *testing.T) {
	const file, program, directory = "-rw-r--r-- root/root", "-rwxr-xr-x root/root", "drwxr-xr-x root/root"
	for name, want := range map[string]map[string]string{
		"credrpc": {
			"/usr/bin/credrpc":                                      program,
			"/usr/bin/credrpc-access":                               program,
			"/usr/bin/credrpc-bench":                                program,
			"/usr/share/man/man1/credrpc.1.gz":                      file,
			"/usr/share/man/man1/credrpc-access.1.gz":               file,
			"/usr/share/man/man1/credrpc-bench.1.gz":                file,
			"/usr/share/bash-completion/completions/credrpc":        file,
			"/usr/share/zsh/vendor-completions/_credrpc":            file,
			"/usr/share/fish/vendor_completions.d/credrpc.fish":     file,
			"/usr/share/doc/credrpc/copyright":                      file,
			"/usr/share/doc/credrpc/README.md":                      file,
			"/usr/share/doc/credrpc/docs/SYSTEMD.md":                file,
			"/usr/share/doc/credrpc/examples/credrpc.toml":          file,
			"/usr/share/doc/credrpc/examples/rules/uid/0/allow":     file,
			"/usr/share/doc/credrpc/examples/rules/gid/50/env/ROLE": file,
			"/usr/lib/sysusers.d/credrpc.conf":                      file,
			"/usr/lib/systemd/system/credrpc@.socket":               file,
			"/usr/lib/systemd/system/credrpc@.service":              file,
			"/etc/apparmor.d/credrpc":                               file,
			"/usr/share/doc/credrpc/changelog.gz":                   file,
			"/etc/credrpc/":                                         directory,
		},
		"credrpc-chown": {
			"/usr/libexec/credrpc/credrpc-chownd":                       program,
			"/usr/bin/credrpc-takeown":                                  program,
			"/usr/share/man/man1/credrpc-takeown.1.gz":                  file,
			"/usr/share/man/man8/credrpc-chownd.8.gz":                   file,
			"/usr/lib/tmpfiles.d/credrpc-chown.conf":                    file,
			"/usr/lib/sysusers.d/credrpc-chown.conf":                    file,
			"/usr/lib/systemd/system/credrpc-chown.socket":              file,
			"/usr/lib/systemd/system/credrpc-chown.service":             file,
			"/etc/apparmor.d/credrpc-chownd":                            file,
			"/etc/credrpc/chown/rules/":                                 directory,
			"/usr/share/doc/credrpc-chown/copyright":                    file,
			"/usr/share/doc/credrpc/examples/chown/README.md":           file,
			"/usr/share/doc/credrpc/examples/chown/rules/gid/100/allow": file,
		},
	} {
		got := contents(t, name)
		for path, mode := range want {
			if got[path] != mode {
				t.Errorf("%s: %s is %q, want %q", name, path, got[path], mode)
			}
		}
		for path, mode := range got {
			switch {
			case mode != file && mode != program && mode != directory:
				t.Errorf("%s: %s is %s", name, path, mode)
			case mode == program && want[path] != program:
				t.Errorf("%s: %s is a program", name, path)
			case strings.HasPrefix(path, "/etc/credrpc/chown/rules/") && path != "/etc/credrpc/chown/rules/":
				t.Errorf("%s: %s is a rule in force", name, path)
			}
		}
	}
}

// TestPackagedUnits compares units and profiles in the packages with those of the source.
func TestPackagedUnits(t *testing.T) {
	need(t, "dpkg-deb")
	for name, sources := range map[string]map[string]string{
		"credrpc": {
			"../systemd/credrpc@.service": "usr/lib/systemd/system/credrpc@.service",
			"../systemd/credrpc@.socket":  "usr/lib/systemd/system/credrpc@.socket",
			"../apparmor/credrpc":         "etc/apparmor.d/credrpc",
		},
		"credrpc-chown": {
			"../../examples/chown/deploy/credrpc-chown.service":   "usr/lib/systemd/system/credrpc-chown.service",
			"../../examples/chown/deploy/credrpc-chown.socket":    "usr/lib/systemd/system/credrpc-chown.socket",
			"../../examples/chown/deploy/credrpc-chownd.apparmor": "etc/apparmor.d/credrpc-chownd",
		},
	} {
		dir := t.TempDir()
		output(t, "dpkg-deb", "-x", one(t, name+"_*.deb"), dir)
		for source, path := range sources {
			want, err := os.ReadFile(source)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, path)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %v; /%s is not %s", name, err, path, source)
			}
		}
		for _, pattern := range []string{"usr/lib/systemd/system/*", "etc/apparmor.d/*"} {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range found {
				relative, err := filepath.Rel(dir, path)
				if err != nil || !slices.Contains(slices.Collect(maps.Values(sources)), relative) {
					t.Errorf("%s has /%s, %v", name, relative, err)
				}
			}
		}
	}
}

// TestRPMContents compares the RPM packages with those of Debian. They do not own
// directories of others.
func TestRPMContents(t *testing.T) {
	need(t, "rpm")
	for _, name := range []string{"credrpc", "credrpc-chown"} {
		var want, got []string
		for path, mode := range contents(t, name) {
			isDirectory := strings.HasSuffix(path, "/")
			if isDirectory && !strings.Contains(path, "/credrpc") {
				continue
			}
			if strings.HasPrefix(path, "/usr/share/lintian/") || strings.HasSuffix(path, "/changelog.gz") {
				continue // only Debian's tools ask for it
			}
			path = strings.Replace(strings.TrimSuffix(path, "/"), "vendor-completions", "site-functions", 1)
			want = append(want, fmt.Sprintf("%s %s", path, strings.Replace(mode, "/", " ", 1)))
		}
		for line := range strings.Lines(output(t, "rpm", "-qp", "--qf", `[%{FILENAMES} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME}\n]`, one(t, name+"-1.2.3-1.*.rpm"))) {
			got = append(got, strings.TrimSpace(line))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
}

// bookkeeping is what package managers write for themselves, and the directory of a shell
// that RPM distributions have and Debian has not.
var bookkeeping = regexp.MustCompile(`^(new|changed) /(etc/(passwd|group|shadow|gshadow|subuid|subgid)-|etc/\.pwd\.lock|var/lib/dpkg/|var/lib/rpm/|var/log/|var/cache/man/|var/lib/rpm$|root/\.rpmdb|usr/share/zsh/site-functions$)`)

// attackers builds the tests of the example service, which can use the installed one, and
// returns their path.
func attackers(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chown.test")
	output(t, "go", "test", "-c", "-o", path, "../../examples/chown")
	return path
}

// TestLife installs the packages, uses them, and removes them without a trace. The service
// credrpc-chown is called by two users, allowed, refused and attacked.
func TestLife(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "needs root")
	}
	need(t, "unshare", "setpriv", "dpkg", "rpm", "systemctl", "systemd-socket-activate")
	for script, pattern := range map[string]string{"deb": "*.deb", "rpm": "*.rpm"} {
		t.Run(script, func(t *testing.T) {
			packages, err := filepath.Glob(filepath.Join(files(t), pattern))
			if err != nil || len(packages) != 2 {
				t.Fatalf("%q, %v", packages, err)
			}
			if script == "deb" {
				packages = append(packages, attackers(t))
			}
			args := append([]string{"--mount", "--pid", "--fork", "--kill-child", "sh", "testdata/lifecycle.sh", "testdata/" + script + ".sh", t.TempDir()}, packages...)
			for line := range strings.Lines(output(t, "unshare", args...)) {
				if !bookkeeping.MatchString(strings.TrimSpace(line)) {
					t.Errorf("left behind: %s", line)
				}
			}
		})
	}
}
