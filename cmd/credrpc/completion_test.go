package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions are command lines and some of what a shell must offer at their end, or
// must not, after an exclamation mark.
var completions = []struct {
	line  string
	offer []string
}{
	{"credrpc ", []string{"serve", "call", "rules", "config", "completion", "!compile", "!--listen"}},
	{"credrpc se", []string{"serve", "!call"}},
	{"credrpc rules ", []string{"compile", "check", "lint", "!serve"}},
	{"credrpc rules che", []string{"check"}},
	{"credrpc rules check --sel", []string{"--self-uid", "--self-gid", "!--json"}},
	{"credrpc serve --max-c", []string{"--max-calls", "--max-calls-per-uid", "!--listen"}},
	{"credrpc serve --handler=", []string{"echo", "whoami", "exec"}},
	{"credrpc serve --handler=w", []string{"whoami", "!echo"}},
	{"credrpc serve --handler w", []string{"whoami", "!echo"}},
	{"credrpc serve --takeover --owner=roo", []string{"root"}},
	{"credrpc serve --rules file-", []string{"file-1", "file-2"}},
	{"credrpc call file-", []string{"file-1", "file-2"}},
	{"credrpc completion ", []string{"bash", "zsh", "fish", "!file-1"}},
}

// checkCompletions compares what offered says a shell offers with what it must.
func checkCompletions(t *testing.T, offered func(line string) []string) {
	t.Helper()
	for _, c := range completions {
		got := offered(c.line)
		for i, word := range got {
			// With the flag or without, with a description or without: as the shell likes it.
			word, _, _ = strings.Cut(word, "\t")
			word = strings.TrimPrefix(word, "--handler=")
			word = strings.TrimPrefix(word, "--owner=")
			got[i] = strings.TrimRight(word, "= ")
		}
		for _, want := range c.offer {
			word, unwanted := strings.CutPrefix(want, "!")
			if slices.Contains(got, word) == unwanted {
				t.Errorf("%q: offers %q; want %q", c.line, got, want)
			}
		}
	}
}

// inShell returns a function that runs a program of a shell in a directory with files.
func inShell(t *testing.T, shell string) func(args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		missing(t, shell+" of the Debian package of that name is not installed")
	}
	dir := tempDir(t)
	status, script, stderr := result("", "completion", shell)
	if status != exitOK {
		t.Fatal(stderr)
	}
	for name, text := range map[string]string{"file-1": "", "file-2": "", "script/_credrpc": script} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), shell, args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb", "LC_ALL=C.UTF-8"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
}

// TestCompletionBash calls the function as bash does, which splits at equals signs.
func TestCompletionBash(t *testing.T) {
	shell := inShell(t, "bash")
	checkCompletions(t, func(line string) []string {
		line = strings.ReplaceAll(line, "=", " = ")
		words := strings.Split(line, " ")
		if strings.HasSuffix(line, "= ") {
			words = words[:len(words)-1] // the cursor is right behind the sign
		}
		for i, word := range words {
			words[i] = "'" + word + "'"
		}
		return strings.Split(shell("-c", fmt.Sprintf(`set -u
source script/_credrpc
COMP_WORDS=(%s) COMP_CWORD=%d
_credrpc
printf '%%s\n' "${COMPREPLY[@]}"`, strings.Join(words, " "), len(words)-1)), "\n")
	})
}

// TestCompletionZsh has an interactive zsh complete. What it offers goes through
// compadd, see zshcompwid(1), which is replaced by a function that prints it.
func TestCompletionZsh(t *testing.T) {
	shell := inShell(t, "zsh")
	const script = `setup=$(<<'END'
fpath=($PWD/script $fpath)
autoload -U compinit
compinit -u -D
bindkey '^I' complete-word
zstyle ':completion:*' completer _complete
compadd() {
	# With these it fills arrays and offers nothing.
	if (( ! ${@[(I)-[OAD]]} )); then
		local -a offer
		builtin compadd -O offer "$@"
		print -rl -- "<offer>"${^offer}"</offer>"
	fi
	builtin compadd "$@"
}
PROMPT="<""prompt>" # so that it is not what is echoed
END
)
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "eval ${(q+)setup}"
for line in "$@"; do
	zpty -r -m shell out '*<prompt>*' || exit 1
	zpty -w -n shell $line$'\t'
	zpty -w -n shell $'\C-U'"print -r end\${:-}ed"$'\n'
	zpty -r -m shell out '*ended*' || exit 1
	print -rn -- "<line>$out"
done
zpty -d shell`
	args := []string{"-f", "-c", script, "zsh"}
	for _, c := range completions {
		args = append(args, c.line)
	}
	outputs := strings.Split(shell(args...), "<line>")[1:]
	checkCompletions(t, func(line string) (offered []string) {
		for i, c := range completions {
			if c.line == line {
				for _, part := range strings.Split(outputs[i], "<offer>")[1:] {
					word, _, _ := strings.Cut(part, "</offer>")
					offered = append(offered, word)
				}
			}
		}
		return offered
	})
}

// TestCompletionFish asks fish, which tells.
func TestCompletionFish(t *testing.T) {
	shell := inShell(t, "fish")
	checkCompletions(t, func(line string) []string {
		return strings.Split(shell("--no-config", "-c", "source script/_credrpc; complete -C '"+line+"'"), "\n")
	})
}
