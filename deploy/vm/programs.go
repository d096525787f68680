package main

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A program is the tests of a package.
type program struct {
	dir     string
	time    time.Duration     // that it may take, emulated
	skipped map[string]string // tests that are skipped there, and why
	leftOut map[string]string // tests that are not run there, and why
}

// Why tests are not run, or skip themselves.
const (
	noGo    = "it asks the go command about the source"
	slow    = "emulation is too slow for its deadline"
	bounded = "its bound, on processor time or garbage, is for processors that are not emulated"
	old     = "it is about Linux 6.16 and newer"
)

// programs are the test programs: those of packages that depend on the kernel.
var programs = []program{
	{dir: "internal/sys", time: time.Minute, leftOut: map[string]string{"TestOneDoor": "it reads the source"}},
	{dir: "internal/listen", time: time.Minute},
	{dir: "client", time: 3 * time.Minute, leftOut: map[string]string{"TestImports": noGo, "TestOtherSystems": noGo}},
	{
		dir: "server", time: 12 * time.Minute,
		skipped: map[string]string{
			"TestFreezeIsRefusedBySocket": old, "TestConnectionsTakeNoDescriptors": old, "TestBacklogIsLeft": old,
			"TestLastAcceptComesFirst": old, "TestEndedWhileHandingOver/by_Shutdown": old, "TestEndedWhileHandingOver/by_Close": old,
			"TestInheritedOptions/PassPIDFDs=yes": "it is about Linux 6.5 and newer",
		},
		leftOut: map[string]string{"TestAllocations": bounded, "TestLargeAllocations": bounded, "TestOutOfDescriptors": bounded, "TestSilentConnections": slow},
	},
	{dir: "systemd", time: 2 * time.Minute},
	{
		dir: "sandbox", time: 2 * time.Minute,
		skipped: map[string]string{"TestPaths": "it is about Landlock of Linux 6.2 and newer", "TestCgo": "it is built without cgo"},
		leftOut: map[string]string{"TestCore": noGo, "TestNothingRefused": slow},
	},
	{dir: "internal/program", time: 4 * time.Minute},
	{dir: "internal/ipcserver", time: 5 * time.Minute, leftOut: map[string]string{"TestBeyondThousand": slow}},
	{dir: "internal/faults", time: 6 * time.Minute, leftOut: map[string]string{"TestNoDescriptorsLeft": bounded}},
}

func (p *program) name() string { return strings.ReplaceAll(p.dir, "/", "-") }

// command runs the tests in the short form, and tells of each.
func (p *program) command() []string {
	skip := slices.Sorted(maps.Keys(p.leftOut))
	return []string{filepath.Join("/", here, "src", p.dir, "test"), "-test.v", "-test.short", "-test.timeout", (p.time - 10*time.Second).String(),
		"-test.skip", "^(" + strings.Join(skip, "|") + ")$"}
}

// verdict is the line that ends a test, and how much of a test of others it is.
var verdict = regexp.MustCompile(`(?m)^( *)--- (PASS|FAIL|SKIP): (\S+)`)

// judge adds to r what the tests have said, and returns what is worth reading of it.
func (p *program) judge(r *checkResult, text string) (log string) {
	r.LeftOut = p.leftOut
	r.Skipped = make(map[string]string)
	var notes strings.Builder
	for _, found := range verdict.FindAllStringSubmatch(text, -1) {
		name := found[3]
		switch found[2] {
		case "PASS":
			if found[1] == "" {
				r.Passed++
			}
		case "SKIP":
			r.Skipped[name] = p.skipped[name]
			if p.skipped[name] == "" {
				r.OK = false
				notes.WriteString("skipped, and nobody knows of it: " + said(text, name) + "\n")
			}
		case "FAIL":
			notes.WriteString("failed: " + said(text, name) + "\n")
		}
	}
	if r.Passed == 0 {
		r.OK = false
	}
	if r.OK {
		return ""
	}
	return notes.String() + text[max(0, len(text)-2000):]
}

// said returns what a test has said, up to its verdict.
func said(text, name string) string {
	_, text, _ = strings.Cut(text, "=== RUN   "+name+"\n")
	end := regexp.MustCompile(`--- (FAIL|SKIP): ` + regexp.QuoteMeta(name) + ` `).FindStringIndex(text)
	if end == nil {
		return name
	}
	return name + ": " + text[max(0, end[0]-800):end[0]]
}
