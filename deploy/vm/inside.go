package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// scriptTime is how long a script may take: the longest waits for a watchdog of 30 s.
const scriptTime = 8 * time.Minute

// scripts are the checks that are no test programs.
//
//go:embed checks
var scripts embed.FS

// A check is one line of the result.
type check struct {
	Name string `json:"name"`
	What string `json:"what"`

	time    time.Duration
	dir     string   // where it is run; the root if empty
	command []string // with a script as standard input
	script  string
	program *program // nil for a script
}

// A checkResult is what came of a check.
type checkResult struct {
	Name    string            `json:"name"`
	What    string            `json:"what"`
	OK      bool              `json:"ok"`
	Seconds float64           `json:"seconds"`
	Passed  int               `json:"passed,omitempty"`   // tests
	Skipped map[string]string `json:"skipped,omitempty"`  // tests, and why
	LeftOut map[string]string `json:"left_out,omitempty"` // likewise
	Log     string            `json:"log,omitempty"`      // the end of what it has said
}

// checks returns all of them, in their order.
func checks() (all []check) {
	library, _ := scripts.ReadFile("checks/lib.sh")
	entries, _ := scripts.ReadDir("checks")
	for _, entry := range entries { // sorted by name
		text, _ := scripts.ReadFile("checks/" + entry.Name())
		what, _, _ := strings.Cut(string(text), "\n")
		if entry.Name() == "lib.sh" {
			continue
		}
		all = append(all, check{
			Name: strings.TrimSuffix(entry.Name(), ".sh"), What: strings.TrimPrefix(what, "# "), time: scriptTime,
			command: []string{"/bin/sh", "-eu"}, script: string(library) + string(text),
		})
	}
	for i := range programs {
		p := &programs[i]
		all = append(all, check{Name: p.name(), What: "tests of " + p.dir, time: p.time, program: p,
			dir: filepath.Join("/", here, "src", p.dir), command: p.command()})
	}
	return all
}

// inside runs the checks in the machine, and writes a line for each to standard output.
func inside([]string) int {
	os.Setenv("CREDRPC_PROGRAM", "/"+here+"/credrpc")
	os.Setenv("HOME", "/root")
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]string{"machine": describe()})
	pattern, _ := os.ReadFile("/" + here + "/only")
	only := regexp.MustCompile(string(pattern))
	for _, c := range checks() {
		if !only.MatchString(c.Name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "check", c.Name)
		out.Encode(c.run())
	}
	return 0
}

// describe says where the checks are run.
func describe() string {
	kernel, _ := os.ReadFile("/proc/version")
	system, _ := exec.Command("systemctl", "--version").Output()
	line, _ := os.ReadFile("/proc/cmdline")
	_, accelerator, _ := strings.Cut(strings.TrimSpace(string(line)), "vm_check=")
	version, _, _ := strings.Cut(string(system), "\n")
	return fmt.Sprintf("%s; %s; qemu %s, 2 processors, 2 GiB", strings.TrimSpace(string(kernel)), version, accelerator)
}

// run runs the check within its time.
func (c *check) run() checkResult {
	ctx, cancel := context.WithTimeout(context.Background(), c.time)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Dir = c.dir
	cmd.Stdin = strings.NewReader(c.script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	began := time.Now()
	err := cmd.Run()
	r := checkResult{Name: c.Name, What: c.What, OK: err == nil, Seconds: time.Since(began).Round(time.Second / 10).Seconds()}
	text := log.String()
	if c.program != nil {
		text = c.program.judge(&r, text)
	}
	if err != nil {
		text += fmt.Sprintf("\n%v", err)
	}
	r.Log = text[max(0, len(text)-6000):]
	return r
}
