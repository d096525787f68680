package measure

import (
	"maps"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"testing/fstest"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// TestEnvironment reads a machine that has everything, and one that says nothing.
func TestEnvironment(t *testing.T) {
	full := fstest.MapFS{
		"proc/meminfo":                                         file("MemTotal:       24684096 kB\nMemFree:        1 kB\nMemAvailable:   2048 kB\n"),
		"proc/loadavg":                                         file("4.78 2.89 1.50 2/114 19020\n"),
		"proc/self/cgroup":                                     file("4:memory:/x\n0::/a/b\n"),
		"sys/fs/cgroup/a/b/cpu.max":                            file("max 100000\n"),
		"sys/fs/cgroup/a/cpu.max":                              file("150000 100000\n"),
		"sys/fs/cgroup/cpu.max":                                file("400000 100000\n"),
		"proc/cpuinfo":                                         file("processor\t: 0\nflags\t\t: fpu hypervisor lm\n"),
		"sys/class/dmi/id/sys_vendor":                          file("QEMU\n"),
		"sys/class/dmi/id/product_name":                        file("Standard PC\n"),
		"sys/devices/system/cpu/smt/active":                    file("1\n"),
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": file("performance\n"),
		"sys/devices/system/clocksource/clocksource0/current_clocksource": file("tsc\n"),
		"sys/kernel/mm/transparent_hugepage/enabled":                      file("always [madvise] never\n"),
		"sys/devices/system/cpu/vulnerabilities/meltdown":                 file("Not affected\n"),
		"sys/devices/system/cpu/vulnerabilities/spectre_v2":               file("Mitigation: Retpolines\n"),
	}
	var e Environment
	e.read(full)
	if e.MemoryBytes != 24684096<<10 || e.AvailableBytes != 2<<20 || e.LoadAverage != [3]float64{4.78, 2.89, 1.5} || e.CPUMax != 1.5 {
		t.Errorf("%+v", e)
	}
	if e.Virtual != "QEMU Standard PC" || e.SMT != "1" || e.Governor != "performance" || e.ClockSource != "tsc" || e.HugePages == "" {
		t.Errorf("%+v", e)
	}
	if !maps.Equal(e.Mitigations, map[string]string{"spectre_v2": "Mitigation: Retpolines"}) {
		t.Errorf("%v", e.Mitigations)
	}
	var nothing Environment
	nothing.read(fstest.MapFS{})
	if nothing.MemoryBytes != 0 || nothing.CPUMax != 0 || nothing.Virtual != "" || nothing.Mitigations != nil {
		t.Errorf("%+v", nothing)
	}
}

// TestEnvironmentCut has files that are cut short or say something else.
func TestEnvironmentCut(t *testing.T) {
	for name, root := range map[string]fstest.MapFS{
		"no flag of the processor": {"proc/cpuinfo": file("flags : fpu hypervisors"), "sys/class/dmi/id/sys_vendor": file("Dell")},
		"no limits":                {"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cpu.max": file("max\n")},
		"a period of nothing":      {"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cpu.max": file("1 0\n")},
		"a group above all":        {"proc/self/cgroup": file("0::/../..\n"), "proc/loadavg": file("x")},
	} {
		var e Environment
		e.read(root)
		if e.CPUMax != 0 || e.Virtual != "" || e.LoadAverage != [3]float64{} {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestGoVersionOf(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	if got := GoVersionOf(1 << 22); got != "" { // above pid_max
		t.Errorf("a process that does not exist: %q", got)
	}
	if got := GoVersionOf(os.Getpid()); got != runtime.Version() {
		t.Errorf("this program: %q", got)
	}
	if got := GoVersionOf(cmd.Process.Pid); got == runtime.Version() {
		t.Errorf("sleep: %q", got)
	}
}
