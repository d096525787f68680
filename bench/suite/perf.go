package suite

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrPerf reports that perf is not installed, or may not record the server.
var ErrPerf = errors.New("suite: perf cannot record")

// perfTimeout is how long perf may take to obey, and to write what it has when it
// ends: it looks for the symbols of all that ran. Nobody tuned it.
const perfTimeout = time.Minute

// A recorder is perf-record(1) on the process of a server and what that starts. It
// runs for longer than the measured part, with its events disabled, since its own
// start takes a tenth of a second.
type recorder struct {
	cmd     *exec.Cmd
	file    string
	stderr  tail
	control *os.File // commands
	answers *os.File // "ack" for each
	lines   *bufio.Reader
	ended   chan struct{} // closed when the process has ended; err is set before
	err     error
}

// startPerf returns a recorder that is ready, and that will write to file.
func startPerf(pid int, file string) (*recorder, error) {
	path, err := exec.LookPath("perf")
	if err != nil {
		return nil, fmt.Errorf("%w: it is not installed (the Debian package linux-perf)", ErrPerf)
	}
	p := &recorder{file: file, ended: make(chan struct{})}
	commands, control, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPerf, err)
	}
	answers, acks, err := os.Pipe()
	if err != nil {
		commands.Close()
		control.Close()
		return nil, fmt.Errorf("%w: %w", ErrPerf, err)
	}
	p.control, p.answers, p.lines = control, answers, bufio.NewReader(answers)
	p.cmd = exec.Command(path, "record", "-q", "-e", "cpu-clock", "-g", "-D", "-1", "--control=fd:3,4",
		"-o", file, "-p", strconv.Itoa(pid))
	p.cmd.ExtraFiles = []*os.File{commands, acks}
	p.cmd.SysProcAttr = isolated()
	p.cmd.Stderr = &p.stderr
	err = p.cmd.Start()
	commands.Close()
	acks.Close()
	if err != nil {
		p.close()
		return nil, fmt.Errorf("%w: %w", ErrPerf, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	if err := p.tell("disable"); err != nil { // which it is; perf answers when it is ready
		p.kill()
		return nil, err
	}
	return p, nil
}

// tell gives a command and waits until it is carried out. See perf-record(1),
// --control.
func (p *recorder) tell(command string) error {
	if err := p.answers.SetReadDeadline(time.Now().Add(perfTimeout)); err != nil {
		return fmt.Errorf("%w: %w", ErrPerf, err)
	}
	_, err := p.control.WriteString(command + "\n")
	var line string
	if err == nil {
		line, err = p.lines.ReadString('\n')
	}
	if err != nil {
		return p.failure(err)
	}
	if strings.Trim(line, "\x00\n") != "ack" { // perf sends the NUL as well
		return fmt.Errorf("%w: it answers %q to %q", ErrPerf, line, command)
	}
	return nil
}

// failure says why perf has ended, or what else went wrong.
func (p *recorder) failure(err error) error {
	select {
	case <-p.ended:
	case <-time.After(time.Second): // it closes its pipes a moment before it ends
		return fmt.Errorf("%w: %w", ErrPerf, err)
	}
	return fmt.Errorf("%w (%v): %s\nroot may always; others may record their own processes where the sysctl kernel.perf_event_paranoid is 2 or less, and perf must be of Linux 5.10 or newer",
		ErrPerf, p.err, p.stderr.String())
}

// finish ends perf, which writes its file.
func (p *recorder) finish() error {
	p.cmd.Process.Signal(os.Interrupt) // ErrProcessDone if it has ended
	select {
	case <-p.ended:
	case <-time.After(perfTimeout):
		return fmt.Errorf("%w: it does not end", ErrPerf)
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT || p.err != nil && exit == nil {
		return p.failure(p.err)
	}
	if info, err := os.Stat(p.file); err != nil || info.Size() == 0 {
		return fmt.Errorf("%w: it wrote nothing: %s", ErrPerf, p.stderr.String())
	}
	return nil
}

// kill ends perf, if it still runs, and forgets what it has.
func (p *recorder) kill() {
	p.cmd.Process.Kill()
	<-p.ended
	p.close()
}

// close closes the pipes.
func (p *recorder) close() {
	p.control.Close()
	p.answers.Close()
}
