package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestCPUOf burns processor time in this process and finds it again.
func TestCPUOf(t *testing.T) {
	before, err := CPUOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	var used CPU
	for began := time.Now(); used.Total < 30*time.Millisecond; {
		if time.Since(began) > time.Minute {
			t.Fatalf("after a minute of work the processor time is %v", used.Total)
		}
		after, err := CPUOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		used = after.Sub(before)
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		name         string
		c            CPU
		user, system time.Duration
	}{
		{"no tick at all is the kernel's", CPU{Total: 5}, 0, 5},
		{"ticks in the kernel only", CPU{5, 0, tick}, 0, 5},
		{"ticks of both kinds split the total", CPU{80, 3 * tick, tick}, 60, 20},
		{"the total is kept when ticks say more", CPU{4, 3 * tick, tick}, 3, 1},
	}
	for _, tt := range tests {
		if tt.c.User() != tt.user || tt.c.System() != tt.system {
			t.Errorf("%s: user %d, system %d", tt.name, tt.c.User(), tt.c.System())
		}
	}
}

// TestChildrenCPUOf burns processor time in a child and finds it again once that
// has ended, and not before.
func TestChildrenCPUOf(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", "read x; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read x")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	children := func() CPU {
		t.Helper()
		c, err := ChildrenCPUOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := children()
	fmt.Fprintln(stdin)
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	used, err := CPUOf(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if now := children(); now != before {
		t.Errorf("the child has not ended, and counts: %+v, before %+v", now, before)
	}
	stdin.Close()
	cmd.Wait()
	got := children().Sub(before)
	if got.Total < used.Total-2*tick || got.Total != got.User()+got.System() {
		t.Errorf("the child used %v, and counts %+v", used.Total, got)
	}
	if sum := used.Add(got); sum.Total != used.Total+got.Total || sum.Sub(got) != used {
		t.Errorf("%+v and %+v is %+v", used, got, sum)
	}
}

func TestCPUOfNoProcess(t *testing.T) {
	if c, err := CPUOf(1 << 22); err == nil { // above pid_max
		t.Errorf("a process that does not exist used %v", c)
	}
	if _, err := MemoryOf(1 << 22); err == nil {
		t.Error("a process that does not exist has memory")
	}
	if c, err := ChildrenCPUOf(1 << 22); err == nil {
		t.Errorf("children of a process that does not exist used %v", c)
	}
}

func TestTicks(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 77 88 0"
	tests := []struct {
		name, stat   string
		user, system uint64
		ok           bool
	}{
		{"a plain name", "12 (floor)" + rest, 77, 88, true},
		{"a name with spaces, digits and parentheses", "12 (a) 1 (b c)" + rest, 77, 88, true},
		{"a file cut short", "12 (floor) S 1 2 3", 0, 0, false},
		{"an empty file", "", 0, 0, false},
		{"no number", "12 (floor) S 1 2 3 4 5 6 7 8 9 10 x y 0", 0, 0, false},
	}
	for _, tt := range tests {
		user, system, err := ticks([]byte(tt.stat), ownTicks)
		if (err == nil) != tt.ok || tt.ok && (user != tt.user || system != tt.system) {
			t.Errorf("%s: %d, %d, %v", tt.name, user, system, err)
		}
	}
}

func TestCores(t *testing.T) {
	tests := []struct {
		name, stat string
		want       Cores
		ok         bool
	}{
		{"user, nice, system, irq, softirq and steal are busy, idle and iowait are not",
			"cpu  1 2 3 100 50 4 5 6 70 80\ncpu0 1 1 1\n", Cores{Busy: 210 * time.Millisecond, Idle: 1500 * time.Millisecond}, true},
		{"another first line", "intr 1 2 3 4 5 6 7 8 9", Cores{}, false},
		{"no number", "cpu 1 2 3 4 x 6 7 8", Cores{}, false},
	}
	for _, tt := range tests {
		got, err := cores([]byte(tt.stat))
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
	if c, err := AllCores(); err != nil || c.Busy == 0 {
		t.Errorf("this machine: %+v, %v", c, err)
	}
}

func TestMemoryOf(t *testing.T) {
	before, err := MemoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 32 << 20
	block := make([]byte, size)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after, err := MemoryOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if after.Peak < before.RSS+size/2 || after.Peak < after.RSS {
		t.Errorf("32 MiB more: before %+v, after %+v (first byte %d)", before, after, block[0])
	}
}

func TestKilobytes(t *testing.T) {
	file := []byte("VmPeak:\t  100 kB\nVmRSS:\t  12 kB\nBad:\tx kB\n")
	for name, want := range map[string]uint64{"VmRSS": 12 << 10, "VmPeak": 100 << 10, "Bad": 0, "Missing": 0, "Vm": 0} {
		if got := kilobytes(file, name); got != want {
			t.Errorf("%s: %d bytes, want %d", name, got, want)
		}
	}
}

// TestProcessOf has this process fault pages in, wait, and open a file.
func TestProcessOf(t *testing.T) {
	before, err := ProcessOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 32<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 20 {
		time.Sleep(time.Millisecond)
	}
	after, err := ProcessOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	u := after.Since(before, 1)
	// A huge page is one fault for 2 MiB.
	if u.MinorFaults < 8 || u.DescriptorsAfter <= u.DescriptorsBefore || u.ThreadsAfter < 1 || u.MemoryAfter.RSS == 0 || u.Seconds != 1 {
		t.Errorf("%+v (first byte %d)", u, block[0])
	}
	if after.VoluntarySwitches == 0 {
		t.Errorf("it never waited: %+v", after)
	}
	if p, err := ProcessOf(1 << 22); err == nil { // above pid_max
		t.Errorf("a process that does not exist has %+v", p)
	}
}

func TestFaults(t *testing.T) {
	minor, major, err := faults([]byte("12 (a) b) S 1 2 3 4 5 6 70 8 90 10 11 12"))
	if minor != 70 || major != 90 || err != nil {
		t.Errorf("%d, %d, %v", minor, major, err)
	}
	for _, stat := range []string{"", "12 (a) S 1 2 3", "12 (a) S 1 2 3 4 5 6 x 8 9 10", "12 (a) S 1 2 3 4 5 6 7 8 x 10"} {
		if _, _, err := faults([]byte(stat)); err == nil {
			t.Errorf("%q has page faults", stat)
		}
	}
	if more(1, 2) != 0 || more(5, 2) != 3 {
		t.Error("differences of counts that may fall")
	}
}

func TestDescribe(t *testing.T) {
	m := Describe()
	if m.Kernel == "" || m.Cores < 1 || m.GOMAXPROCS < 1 || m.GoVersion == "" || m.DescriptorsSoft == 0 || m.Date.IsZero() {
		t.Errorf("incomplete: %+v", m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kernel", "cpu_model", "cores", "go_version", "gomaxprocs", "somaxconn", "descriptors_hard", "date", "command_line"} {
		if _, ok := fields[name]; !ok {
			t.Errorf("JSON lacks %q: %s", name, b)
		}
	}
}

// TestPressure reads a file of /proc/pressure, and refuses what is none.
func TestPressure(t *testing.T) {
	var s Stall
	if !s.parse([]byte("some avg10=1.25 avg60=0.46 avg300=13.36 total=4681776237\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=9\n")) || s != (Stall{1.25, 4681776237}) {
		t.Errorf("%+v", s)
	}
	for _, text := range []string{"", "some", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0", "some avg10=x"} {
		if s.parse([]byte(text)) {
			t.Errorf("%q is taken", text)
		}
	}
	if _, err := os.Stat("/proc/pressure/cpu"); (err == nil) != (PressureNow() != nil) {
		t.Errorf("%v, and there is %v", err, PressureNow())
	}
}

func TestSlabObjects(t *testing.T) {
	const text = `slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
sock_inode_cache      10     20    832   19    4 : tunables    0    0    0 : slabdata      2      2      0
filp                 100    128    192   21    1 : tunables    0    0    0 : slabdata      7      7      0
`
	if n, err := slabObjects([]byte(text)); n != 10*832+100*192 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, broken := range []string{"", "filp x 1 1\n", "slabinfo - version: 2.1\n"} {
		if n, err := slabObjects([]byte(broken)); err == nil {
			t.Errorf("%q: %d", broken, n)
		}
	}
	if n, err := KernelObjects(); os.Geteuid() == 0 && (err != nil || n < 1<<20) {
		t.Errorf("this machine: %d bytes, %v", n, err)
	}
}
