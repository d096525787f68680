package measure

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Machine describes where and with what figures were obtained.
type Machine struct {
	Date        time.Time `json:"date"`
	CommandLine []string  `json:"command_line"`
	Commit      string    `json:"commit,omitempty"` // of the program, "+changes" if it was built with others; empty if unknown
	Kernel      string    `json:"kernel"`           // name, release and version
	CPUModel    string    `json:"cpu_model"`
	Cores       int       `json:"cores"` // that this process may use. See sched_getaffinity(2)
	GoVersion   string    `json:"go_version"`
	GOMAXPROCS  int       `json:"gomaxprocs"`
	SOMAXCONN   int       `json:"somaxconn"` // net.core.somaxconn, the most that a backlog can be; 0 if unknown
	Nice        int       `json:"nice"`      // of this process and of its children
	// Descriptors that a process may have: the soft and the hard limit.
	DescriptorsSoft uint64 `json:"descriptors_soft"`
	DescriptorsHard uint64 `json:"descriptors_hard"`
	Environment
}

// Describe describes this machine and program. What cannot be found out is
// empty.
func Describe() Machine {
	m := Machine{
		Date:        time.Now().Truncate(time.Second),
		CommandLine: os.Args,
		Commit:      commit(),
		CPUModel:    cpuModel(),
		Cores:       runtime.NumCPU(),
		GoVersion:   runtime.Version(),
		GOMAXPROCS:  runtime.GOMAXPROCS(0),
		Environment: environment(),
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = strings.Join([]string{unix.ByteSliceToString(uts.Sysname[:]),
			unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Version[:])}, " ")
	}
	if b, err := os.ReadFile("/proc/sys/net/core/somaxconn"); err == nil {
		m.SOMAXCONN, _ = strconv.Atoi(strings.TrimSpace(string(b))) // 0 says unknown
	}
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		m.Nice = 20 - raw // the system call returns 40 to 1. See getpriority(2), NOTES
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		m.DescriptorsSoft, m.DescriptorsHard = limit.Cur, limit.Max
	}
	return m
}

// commit returns the revision that the program was built from.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, changes string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changes = "+changes"
			}
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changes
}

// cpuModel returns the first model that proc_cpuinfo(5) names.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
