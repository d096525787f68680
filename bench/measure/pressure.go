package measure

import (
	"bytes"
	"fmt"
	"os"
)

// Pressure says for how long something had to wait for what the machine has, as
// shares in percent of the last ten seconds, and in total since the machine was
// started. See Documentation/accounting/psi.rst of the Linux kernel. It is that of
// the whole machine, with what the benchmark does to itself.
type Pressure struct {
	CPU    Stall `json:"cpu"`
	Memory Stall `json:"memory"`
	IO     Stall `json:"io"`
}

// A Stall is the line "some" of a file of /proc/pressure: at least one task
// waited.
type Stall struct {
	Share float64 `json:"percent_of_10s"`
	Total uint64  `json:"total_us"`
}

// PressureNow returns the pressure, and nil where the kernel does not count it.
func PressureNow() *Pressure {
	var p Pressure
	for name, stall := range map[string]*Stall{"cpu": &p.CPU, "memory": &p.Memory, "io": &p.IO} {
		text, err := os.ReadFile("/proc/pressure/" + name)
		if err != nil || !stall.parse(text) {
			return nil
		}
	}
	return &p
}

// parse reads a file of /proc/pressure and reports whether it is one.
func (s *Stall) parse(text []byte) bool {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var minute, five float64
	n, err := fmt.Sscanf(string(line), "some avg10=%f avg60=%f avg300=%f total=%d", &s.Share, &minute, &five, &s.Total)
	return err == nil && n == 4
}
