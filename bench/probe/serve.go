package probe

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"

	"golang.org/x/sys/unix"
)

// Serve obeys the commands that come from descriptor fd, the server's end of a
// channel, until the other end is closed. It owns fd. The process must have no
// other [Serve], and nothing else that profiles it.
//
// It returns an error if fd cannot be read or written to, or if what comes is no
// command.
func Serve(fd int) error {
	unix.CloseOnExec(fd)
	conn := os.NewFile(uintptr(fd), "probe")
	if conn == nil {
		return fmt.Errorf("probe: %d is no descriptor", fd)
	}
	defer conn.Close()
	take() // the first takes longer than others, and nothing is measured yet
	var s session
	defer s.abort()
	answers := json.NewEncoder(conn)
	for lines := bufio.NewScanner(conn); ; {
		if !lines.Scan() {
			return lines.Err()
		}
		var command request
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			return fmt.Errorf("probe: a command: %w", err)
		}
		if err := answers.Encode(s.obey(command)); err != nil {
			return fmt.Errorf("probe: %w", err)
		}
	}
}

// A session is what has begun and not ended.
type session struct {
	begun      bool
	before     snapshot
	files      Files
	cpu, trace *os.File // nil: not asked for
}

// obey carries out a command.
func (s *session) obey(command request) response {
	var answer response
	var err error
	switch {
	case command.Begin != nil:
		err = s.begin(*command.Begin)
	case command.End != nil:
		answer, err = s.end()
	default:
		err = errors.New("this is no command")
	}
	if err != nil {
		answer = response{Error: err.Error()}
	}
	return answer
}

// begin starts what was asked for, and counting last.
func (s *session) begin(files Files) (err error) {
	if s.begun {
		return errors.New("it has begun already")
	}
	defer func() {
		if err != nil {
			s.abort()
		}
	}()
	if files.Trace != "" {
		if s.trace, err = create(files.Trace); err != nil {
			return err
		}
		if err := trace.Start(s.trace); err != nil {
			return err
		}
	}
	if files.CPUProfile != "" {
		if s.cpu, err = create(files.CPUProfile); err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(s.cpu); err != nil {
			return err
		}
	}
	s.begun, s.files, s.before = true, files, take()
	return nil
}

// end counts first, and then ends what begin started.
func (s *session) end() (response, error) {
	if !s.begun {
		return response{}, errors.New("it has not begun")
	}
	after := take()
	found := after.since(&s.before)
	heap := s.files.Heap
	if err := s.abort(); err != nil {
		return response{}, err
	}
	if heap != "" {
		if err := writeHeap(heap); err != nil {
			return response{}, err
		}
	}
	return response{Runtime: &found}, nil
}

// abort ends what begin started. Both profilers may be ended when they do not run.
func (s *session) abort() error {
	pprof.StopCPUProfile()
	trace.Stop()
	var errs []error
	for _, f := range []*os.File{s.cpu, s.trace} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	*s = session{}
	return errors.Join(errs...)
}

// writeHeap writes a heap profile, which is that of the last collection.
func writeHeap(path string) error {
	f, err := create(path)
	if err != nil {
		return err
	}
	runtime.GC()
	if err := pprof.WriteHeapProfile(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// create makes a file that nobody else reads.
func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}
