package main

import (
	"os"
	"slices"
	"testing"
	"time"
)

// BenchmarkStart measures the time from the start of a program to the end of one that
// does nothing, which it becomes when compiled rules accept the caller. The programs
// have their turns one after the other, so that the noise of a machine meets all; the
// metrics are medians in microseconds, and how many times as long as the real program
// ours takes.
func BenchmarkStart(b *testing.B) {
	nothing := compile(b, "nothing")
	dir := openDir(b)
	writeRuleSets(b, dir, map[string]map[string]string{"rules": {"uid/1000/allow": ""}})
	arguments := []string{"-v0", "-E", "-x", dir + "/rules.cdb", nothing}
	commands := []struct {
		name string
		argv []string
	}{
		{"nothing", []string{nothing}},
		{"s6", append([]string{installed(b, realProgram, "s6")}, arguments...)},
		{"static", append([]string{static.build(b)}, arguments...)},
		{"dynamic", append([]string{dynamic.build(b)}, arguments...)},
		{"nocgo", append([]string{withoutCgo.build(b)}, arguments...)},
	}
	times := make([][]float64, len(commands))
	attributes := &os.ProcAttr{Env: environmentOf("IPC", "1000", "1000"), Files: []*os.File{nil, nil, os.Stderr}}
	for b.Loop() {
		for i, c := range commands {
			begin := time.Now()
			p, err := os.StartProcess(c.argv[0], c.argv, attributes)
			if err != nil {
				b.Fatal(err)
			}
			if state, err := p.Wait(); err != nil || !state.Success() {
				b.Fatal(c.name, state, err)
			}
			times[i] = append(times[i], float64(time.Since(begin).Microseconds()))
		}
	}
	median := func(i int) float64 {
		slices.Sort(times[i])
		return times[i][len(times[i])/2]
	}
	for i, c := range commands {
		b.ReportMetric(median(i), c.name+"-µs")
		if i > 1 {
			b.ReportMetric(median(i)/median(1), c.name+"/s6")
		}
	}
}
