package ipcserver

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Verbosities.
const (
	quiet   = 0 // errors
	normal  = 1 // and warnings, and whom the rules allow
	verbose = 2 // and every connection's beginning and end, and whom the rules deny
)

// Defaults, those of s6-ipcserver.
const (
	defaultMode           = 0o777
	defaultBacklog        = 4096 // SOMAXCONN; at most net.core.somaxconn, see listen(2)
	defaultMaxConnections = 40
)

// options are the command line.
type options struct {
	verbosity  int
	notify     bool // write a newline to standard output when callers can connect
	lookup     bool // ask the kernel who connected
	keepStale  bool
	mode       *uint32 // nil: defaultMode
	backlog    *uint32 // nil: defaultBacklog
	maxConn    int
	maxPerUser int

	// Whom to become. nil or zero: stay.
	uid, gid   *uint32
	groups     []uint32 // nil: none were given
	idsFromEnv bool

	rules       rulesKind
	rulesPath   string
	identity    bool
	environment environmentKind
	localName   *string // nil: the name that the socket has

	path    string
	program []string
}

// rulesKind is what the rules are read from.
type rulesKind uint8

const (
	noRules rulesKind = iota
	rulesDirectory
	rulesFile
)

// environmentKind is what programs are told of their caller.
type environmentKind uint8

const (
	environmentDefault  environmentKind = iota // as usual, and with rules also IPCLOCALPATH
	environmentFull                            // as usual, and IPCLOCALPATH
	environmentWithheld                        // nothing
)

// errHelp is what parse returns for a command line that asks for help.
var errHelp = errors.New("help is wanted")

// parse reads a command line. Returns errHelp, or an error that says which part is
// wrong.
func parse(args []string) (*options, error) {
	o := &options{verbosity: normal, lookup: true, maxConn: defaultMaxConnections, maxPerUser: defaultMaxConnections}
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		return nil, errHelp
	}
	scanner := optionScanner{args: args}
	for {
		option, ok := scanner.next()
		if !ok {
			break
		}
		if err := o.set(option, &scanner); err != nil {
			return nil, err
		}
	}
	rest := scanner.args
	if len(rest) < 2 {
		return nil, errors.New("want a path and a program")
	}
	o.path, o.program = rest[0], rest[1:]
	if strings.HasPrefix(o.program[0], "-") && !scanner.ended {
		return nil, fmt.Errorf("%s: want a program; options stand before the path, and -v takes no number; after \"--\" any name goes", o.program[0])
	}
	return o, o.check()
}

// An optionScanner takes options off the front of args as getopt(3) does with
// POSIXLY_CORRECT.
type optionScanner struct {
	args   []string
	letter string // what is left of the argument that is being read
	ended  bool   // by "--"
}

// next returns the next option. After false, args are what follows the options.
func (s *optionScanner) next() (option byte, ok bool) {
	if s.letter == "" {
		if len(s.args) == 0 || len(s.args[0]) < 2 || s.args[0][0] != '-' {
			return 0, false
		}
		first := s.args[0]
		s.args = s.args[1:]
		if first == "--" {
			s.ended = true
			return 0, false
		}
		s.letter = first[1:]
	}
	option, s.letter = s.letter[0], s.letter[1:]
	return option, true
}

// value returns the value of the option that next returned last.
func (s *optionScanner) value() (string, bool) {
	value := s.letter
	s.letter = ""
	if value != "" {
		return value, true
	}
	if len(s.args) == 0 {
		return "", false
	}
	value, s.args = s.args[0], s.args[1:]
	return value, true
}

// set notes one option.
func (o *options) set(option byte, scanner *optionScanner) error {
	switch option {
	case '1':
		o.notify = true
	case 'q':
		o.verbosity = quiet
	case 'Q':
		o.verbosity = normal
	case 'v':
		o.verbosity = verbose
	case 'd':
		o.keepStale = false
	case 'D':
		o.keepStale = true
	case 'P':
		o.lookup = false
	case 'p':
		o.lookup = true
	case 'U':
		o.idsFromEnv, o.uid, o.gid, o.groups = true, nil, nil, nil
	case 'I':
		o.identity = true
	case 'e':
		o.environment = environmentFull
	case 'E':
		o.environment = environmentWithheld
	case 'a', 'b', 'c', 'C', 'u', 'g', 'G', 'i', 'x', 'l':
		value, ok := scanner.value()
		if !ok {
			return fmt.Errorf("-%c: a value is missing", option)
		}
		if err := o.setValue(option, value); err != nil {
			return fmt.Errorf("-%c %q: %w", option, value, err)
		}
	default:
		return fmt.Errorf("unknown option -%c", option)
	}
	return nil
}

// setValue notes an option that has a value.
func (o *options) setValue(option byte, value string) (err error) {
	var number uint32
	switch option {
	case 'a':
		o.mode, err = parseMode(value)
	case 'b':
		number, err = parseNumber(value)
		number = max(number, 1)
		o.backlog = &number
	case 'c':
		number, err = parseNumber(value)
		o.maxConn = int(max(number, 1))
	case 'C':
		number, err = parseNumber(value)
		o.maxPerUser = int(max(number, 1))
	case 'u':
		o.uid, err = parseID(value)
	case 'g':
		o.gid, err = parseID(value)
	case 'G':
		o.groups, err = parseIDs(value)
	case 'i':
		err = o.setRules(rulesDirectory, value)
	case 'x':
		err = o.setRules(rulesFile, value)
	case 'l':
		o.localName = &value
	}
	return err
}

func (o *options) setRules(kind rulesKind, path string) error {
	if o.rules != noRules {
		return errors.New("there are rules already; want one -i or -x")
	}
	o.rules, o.rulesPath = kind, path
	return nil
}

// check looks for options that contradict each other.
func (o *options) check() error {
	if o.maxPerUser > o.maxConn || !o.lookup {
		o.maxPerUser = o.maxConn
	}
	switch {
	case o.path == "":
		return errors.New("the path is empty")
	case o.program[0] == "":
		return errors.New("the program's name is empty")
	case o.rules != noRules && !o.lookup:
		return errors.New("-P: with it nobody knows who is calling, and the rules need to")
	case o.rules == noRules && o.identity:
		return errors.New("-I: without rules (-i or -x) everybody is accepted anyway")
	case strings.HasPrefix(o.path, "@") && o.mode != nil:
		return fmt.Errorf("-a: %q is abstract, no permissions protect it", o.path)
	}
	return nil
}

func parseNumber(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, errors.New("want a number")
	}
	return uint32(n), nil
}

func parseMode(text string) (*uint32, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > uint64(fs.ModePerm) {
		return nil, errors.New("want an octal number of at most 0777")
	}
	mode := uint32(n)
	return &mode, nil
}

// parseID returns nil for 0: whoever is root stays root, and nobody becomes root.
func parseID(text string) (*uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, errors.New("want a numeric id")
	}
	if n == 0 {
		return nil, nil
	}
	id := uint32(n)
	return &id, nil
}

// parseIDs reads ids with commas between them. The result is not nil.
func parseIDs(text string) ([]uint32, error) {
	ids := []uint32{}
	if text == "" {
		return ids, nil
	}
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, errors.New("want numeric ids with commas between them")
		}
		ids = append(ids, uint32(n))
	}
	return ids, nil
}
