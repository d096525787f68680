package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// plainInterval is how often progress is told where it cannot be rewritten.
const plainInterval = 2 * time.Second

// A progress tells on standard error how far a benchmark is: on a terminal in
// one line that is rewritten, else in a line every few seconds. It belongs to one
// goroutine.
type progress struct {
	out      io.Writer
	terminal bool
	began    time.Time
	told     time.Time // when the last plain line was written
}

func newProgress() *progress {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	return &progress{out: os.Stderr, terminal: err == nil, began: time.Now()}
}

// show tells what happens now. done is from 0 to 1.
func (p *progress) show(done float64, line string) {
	now := time.Now()
	text := fmt.Sprintf("%3.0f %% %3.0fs  %s", done*100, now.Sub(p.began).Seconds(), line)
	switch {
	case p.terminal:
		fmt.Fprintf(p.out, "\r\x1b[K%s", text) // erases what the line had before
	case now.Sub(p.told) >= plainInterval:
		p.told = now
		fmt.Fprintln(p.out, text)
	}
}

// note writes a line that stays, also from another goroutine.
func (p *progress) note(text string) {
	if p.terminal {
		text = "\r\x1b[K" + text
	}
	io.WriteString(p.out, text)
}

// clear removes the line from a terminal, so that something else can be printed.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
