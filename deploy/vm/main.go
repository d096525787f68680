package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// options are the command line.
type options struct {
	json, keep string
	suite      string
	mirror     string
	kernel     string
	only       *regexp.Regexp
	timeout    time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		os.Exit(inside(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err == nil {
		err = missing()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	r, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
	if r.failed() {
		os.Exit(1)
	}
}

// parse makes options of the arguments.
func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("vm", flag.ContinueOnError)
	flags.StringVar(&o.json, "json", "", "write the result to `FILE`, too")
	flags.StringVar(&o.keep, "keep", "", "work in `DIRECTORY` and leave it: the next time its Debian is used again")
	flags.StringVar(&o.suite, "suite", "bookworm", "`NAME` of the release of Debian")
	flags.StringVar(&o.mirror, "mirror", "", "`URL` of Debian's packages (that of apt)")
	flags.StringVar(&o.kernel, "kernel", "linux-image-cloud-amd64", "`PACKAGE` of the kernel")
	flags.DurationVar(&o.timeout, "timeout", time.Hour, "`TIME` for all of it")
	flags.Func("only", "checks whose name the regular `EXPRESSION` matches", func(text string) error {
		o.only, err = regexp.Compile(text)
		return err
	})
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "Usage: go run ./deploy/vm [FLAG ...]\n\nChecks the project on Debian's kernel, systemd and AppArmor in a virtual machine.\n\nChecks:")
		for _, c := range checks() {
			fmt.Fprintf(flags.Output(), "  %-24s %s\n", c.Name, c.What)
		}
		fmt.Fprintln(flags.Output(), "\nFlags:")
		flags.PrintDefaults()
	}
	err = flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q; --help lists the flags", flags.Arg(0))
	}
	return o, err
}

// A result is what a run has found.
type result struct {
	Date    string        `json:"date"`
	Machine string        `json:"machine"` // kernel, systemd, how it was run
	Seconds float64       `json:"seconds"`
	Checks  []checkResult `json:"checks"`
}

func (r *result) failed() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return true
		}
	}
	return len(r.Checks) == 0
}

// run builds, boots, and prints what came of it.
func run(ctx context.Context, o options) (*result, error) {
	work := o.keep
	if work == "" {
		var err error
		if work, err = os.MkdirTemp("", "credrpc-vm"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(work)
	} else if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	began := time.Now()
	m, err := build(ctx, o, work)
	if err != nil {
		return nil, err
	}
	lines, err := m.boot(ctx)
	if err != nil {
		return nil, err
	}
	r := collect(lines, o.only)
	r.Date, r.Seconds = began.Format(time.DateOnly), time.Since(began).Round(time.Second).Seconds()
	r.print()
	if o.json == "" {
		return r, nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	return r, os.WriteFile(o.json, append(text, '\n'), 0o644)
}

// collect makes a result of the lines that the machine has written.
func collect(lines []byte, only *regexp.Regexp) *result {
	r := new(result)
	done := make(map[string]checkResult)
	for line := range strings.Lines(string(lines)) {
		var l struct {
			Machine string
			checkResult
		}
		if json.Unmarshal([]byte(line), &l) != nil {
			continue // half a line: the machine was killed
		}
		if l.Machine != "" {
			r.Machine = l.Machine
		} else {
			done[l.Name] = l.checkResult
		}
	}
	for _, c := range checks() {
		if only != nil && !only.MatchString(c.Name) {
			continue
		}
		found, ok := done[c.Name]
		if !ok {
			found = checkResult{Name: c.Name, What: c.What, Log: "it has not ended"}
		}
		r.Checks = append(r.Checks, found)
	}
	return r
}

// print writes a table, and below it what failed.
func (r *result) print() {
	fmt.Printf("\n%s\n\n", r.Machine)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, c := range r.Checks {
		verdict := "ok"
		if !c.OK {
			verdict = "FAILED"
		}
		what := c.What
		if c.Passed > 0 {
			what += fmt.Sprintf(": %d passed, %d skipped, %d left out", c.Passed, len(c.Skipped), len(c.LeftOut))
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f s\t%s\n", verdict, c.Name, c.Seconds, what)
	}
	w.Flush()
	for _, c := range r.Checks {
		if !c.OK {
			fmt.Printf("\n== %s\n%s\n", c.Name, c.Log)
		}
	}
}

// missing returns an error that says what has to be there before anything begins.
func missing() error {
	if os.Getuid() != 0 {
		return errors.New("making a file system for another machine needs root")
	}
	if _, err := os.Stat("deploy/vm/doc.go"); err != nil {
		return errors.New("run it at the top of the project: go run ./deploy/vm")
	}
	var packages []string
	for program, name := range map[string]string{
		"qemu-system-x86_64": "qemu-system-x86", "debootstrap": "debootstrap", "mke2fs": "e2fsprogs", "apt-get": "apt",
	} {
		if _, err := which(program); err != nil {
			packages = append(packages, name)
		}
	}
	if packages != nil {
		return fmt.Errorf("it needs programs that are not installed: apt-get install --no-install-recommends %s", strings.Join(packages, " "))
	}
	return nil
}

// which finds a program, also where only root looks.
func which(program string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed", program)
}
