package measure

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An Environment is what decides, besides the machine's model, how fast a program
// runs on it. What cannot be read is left out.
type Environment struct {
	// Variables that Go programs obey, of this process and its children.
	GOGC       string `json:"gogc,omitempty"`
	GOMEMLIMIT string `json:"gomemlimit,omitempty"`
	GODEBUG    string `json:"godebug,omitempty"`

	MemoryBytes    uint64     `json:"memory_bytes,omitempty"` // of the machine
	AvailableBytes uint64     `json:"memory_available_bytes,omitempty"`
	LoadAverage    [3]float64 `json:"load_average"` // of 1, 5 and 15 minutes, when this was described. See proc_loadavg(5)

	// Processes, which are threads, that a user may have: RLIMIT_NPROC, soft and
	// hard. See getrlimit(2); root is not bound by it.
	ProcessesSoft uint64 `json:"processes_soft,omitempty"`
	ProcessesHard uint64 `json:"processes_hard,omitempty"`
	// CPUMax is how many cores the control groups of this process allow, 0 if they
	// set no limit. See Documentation/admin-guide/cgroup-v2.rst of the kernel, cpu.max.
	CPUMax float64 `json:"cgroup_cpu_max,omitempty"`

	Governor    string `json:"cpu_frequency_governor,omitempty"` // of the first core
	SMT         string `json:"smt,omitempty"`                    // "1": cores share their units with one another
	ClockSource string `json:"clock_source,omitempty"`           // what reading the clock costs
	HugePages   string `json:"transparent_huge_pages,omitempty"` // "always [madvise] never"

	// Virtual says what the machine runs in, if it says that: the name of a product,
	// or "hypervisor" as a flag of the processor.
	Virtual string `json:"virtualisation,omitempty"`
	// Mitigations has what the kernel does about faults of the processor, by their
	// names, but for those that it does not have.
	Mitigations map[string]string `json:"mitigations,omitempty"`
}

// environment returns that of this process.
func environment() Environment {
	e := Environment{GOGC: os.Getenv("GOGC"), GOMEMLIMIT: os.Getenv("GOMEMLIMIT"), GODEBUG: os.Getenv("GODEBUG")}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NPROC, &limit) == nil {
		e.ProcessesSoft, e.ProcessesHard = limit.Cur, limit.Max
	}
	e.read(os.DirFS("/"))
	return e
}

// read reads what the kernel says in files.
func (e *Environment) read(root fs.FS) {
	meminfo, _ := fs.ReadFile(root, "proc/meminfo") // nothing is read from none
	e.MemoryBytes, e.AvailableBytes = kilobytes(meminfo, "MemTotal"), kilobytes(meminfo, "MemAvailable")
	for i, field := range strings.Fields(line(root, "proc/loadavg")) {
		if i < len(e.LoadAverage) {
			e.LoadAverage[i], _ = strconv.ParseFloat(field, 64)
		}
	}
	e.CPUMax = cpuMax(root)
	e.Governor = line(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	e.SMT = line(root, "sys/devices/system/cpu/smt/active")
	e.ClockSource = line(root, "sys/devices/system/clocksource/clocksource0/current_clocksource")
	e.HugePages = line(root, "sys/kernel/mm/transparent_hugepage/enabled")
	e.Virtual = virtual(root)
	e.Mitigations = mitigations(root)
}

// line returns the first line of a file, "" if it cannot be read.
func line(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	first, _, _ := bytes.Cut(text, []byte("\n"))
	return string(bytes.TrimSpace(first))
}

// cpuMax returns the smallest number of cores that the control group of this process
// and those above it allow, 0 without a limit.
func cpuMax(root fs.FS) (least float64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for text := range strings.Lines(string(groups)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(text), "0::") // version 2. See cgroups(7)
		if !ok {
			continue
		}
		for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
			quota, period, _ := strings.Cut(line(root, path.Join("sys/fs/cgroup", dir, "cpu.max")), " ")
			q, err1 := strconv.ParseFloat(quota, 64) // "max" is none
			p, err2 := strconv.ParseFloat(period, 64)
			if err1 == nil && err2 == nil && p > 0 && (least == 0 || q/p < least) {
				least = q / p
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// virtual returns what the machine runs in, "" if nothing says that it does.
func virtual(root fs.FS) string {
	hint := line(root, "sys/hypervisor/type")
	cpuinfo, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return hint
	}
	for text := range strings.Lines(string(cpuinfo)) {
		name, flags, _ := strings.Cut(text, ":")
		if strings.TrimSpace(name) != "flags" || hint != "" {
			continue
		}
		if strings.Contains(" "+strings.TrimSpace(flags)+" ", " hypervisor ") {
			hint = "hypervisor"
		}
	}
	if hint == "" {
		return ""
	}
	product := strings.TrimSpace(line(root, "sys/class/dmi/id/sys_vendor") + " " + line(root, "sys/class/dmi/id/product_name"))
	if product == "" {
		return hint
	}
	return product
}

// mitigations reads what the kernel says about the processor's faults.
func mitigations(root fs.FS) map[string]string {
	const dir = "sys/devices/system/cpu/vulnerabilities"
	entries, err := fs.ReadDir(root, dir)
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for _, entry := range entries {
		if text := line(root, path.Join(dir, entry.Name())); text != "" && text != "Not affected" {
			all[entry.Name()] = text
		}
	}
	return all
}
