package main

const usage = "usage: " + name + " [ -v verbosity ] [ -e | -E ] [ -l localname ] [ -I ] [ -i rulesdir | -x rulesfile ] prog..."

// commandLine is what the arguments say.
type commandLine struct {
	verbosity uint32
	bare      bool    // -E: no environment
	localName *string // -l
	identity  bool    // -I
	source    ruleSource
	rules     string // path, for -i and -x
	program   []string
}

// ruleSource is where rules come from.
type ruleSource uint8

const (
	noRules   ruleSource = iota // everybody is accepted
	directory                   // -i
	file                        // -x
)

// parse reads the arguments as getopt(3) does when it is told to stop at the first
// that is no option. Of options that exclude each other the last counts.
func parse(args []string) (c commandLine, ok bool) {
	c.verbosity = 1
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		cluster := args[0][1:]
		args = args[1:]
		if cluster == "-" {
			break
		}
		for cluster != "" {
			option := cluster[0]
			cluster = cluster[1:]
			if c.flag(option) {
				continue
			}
			value := cluster
			cluster = ""
			if value == "" {
				if len(args) == 0 {
					return c, false
				}
				value, args = args[0], args[1:]
			}
			if !c.setting(option, value) {
				return c, false
			}
		}
	}
	c.program = args
	return c, len(args) > 0 && args[0] != ""
}

// flag takes an option without value, if it is one.
func (c *commandLine) flag(option byte) bool {
	switch option {
	case 'E':
		c.bare = true
	case 'e':
		c.bare = false
	case 'I':
		c.identity = true
	default:
		return false
	}
	return true
}

// setting takes an option with its value.
func (c *commandLine) setting(option byte, value string) (ok bool) {
	switch option {
	case 'v':
		c.verbosity, ok = number(value)
		return ok
	case 'l':
		c.localName = &value
	case 'i':
		c.source, c.rules = directory, value
	case 'x':
		c.source, c.rules = file, value
	default:
		return false
	}
	return true
}
