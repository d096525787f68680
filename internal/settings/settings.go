package settings

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Prefix is what the variables of settings begin with.
const Prefix = "CREDRPC_SERVE_"

// Environment is the variables of a process, as [os.Environ] returns them. The program
// binds it with [kong.Bind].
type Environment []string

// Flags are embedded in the struct of a command.
type Flags struct {
	Config string `placeholder:"PATH" help:"Take settings from this TOML file too, and from variables such as CREDRPC_SERVE_MAX_CALLS. Flags count before variables, and these before the file. See CONFIGURATION in the manual."`

	command *kong.Node
	given   map[string]entry // by name
}

// An entry is a setting that was given.
type entry struct {
	value  any // bool, int64, float64, string or []any; nil on the command line, where kong has it
	origin Origin
}

// Origin is where a setting was given.
type Origin struct {
	From     Place  `json:"from"`
	Variable string `json:"variable,omitempty"` // of the environment
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"` // of the file
}

// Place is a kind of place where settings are given.
type Place string

// The places, in the order in which they count.
const (
	FromFlag        Place = "flag"
	FromEnvironment Place = "environment"
	FromFile        Place = "file"
	FromDefault     Place = "default"
)

// String returns FILE:LINE, the name of the variable, or the kind of place.
func (o Origin) String() string {
	switch o.From {
	case FromEnvironment:
		return o.Variable
	case FromFile:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return string(o.From)
}

// configName is the name of the setting that names the file. The file cannot have it.
const configName = "config"

// BeforeResolve is called by kong when it knows what is on the command line. It reads
// the environment and the file.
func (f *Flags) BeforeResolve(ctx *kong.Context, environ Environment) error {
	f.command = ctx.Selected()
	f.given = make(map[string]entry)
	f.readCommandLine(ctx)
	problems := f.readEnvironment(environ)
	if path, ok := f.configPath(ctx); ok {
		problems = append(problems, f.readFile(path)...)
	}
	if len(problems) > 0 {
		// The program puts its name before the first.
		return errors.New(strings.Join(problems, "\n"+ctx.Model.Name+": "))
	}
	f.setArguments()
	ctx.AddResolver(kong.ResolverFunc(f.resolve))
	return nil
}

// readCommandLine notes what has been set there.
func (f *Flags) readCommandLine(ctx *kong.Context) {
	for _, step := range ctx.Path {
		switch {
		case step.Flag != nil:
			f.give(step.Flag.Name, nil, Origin{From: FromFlag})
		case step.Positional != nil:
			f.give(step.Positional.Name, nil, Origin{From: FromFlag})
		}
	}
}

// give notes a setting, unless it has been given in a place that counts before.
func (f *Flags) give(name string, value any, origin Origin) {
	if _, ok := f.given[name]; !ok {
		f.given[name] = entry{value, origin}
	}
}

// configPath returns the path of the file, if there is to be one.
func (f *Flags) configPath(ctx *kong.Context) (path string, ok bool) {
	config, ok := f.given[configName]
	if !ok {
		return "", false
	}
	if config.origin.From == FromFlag {
		path, _ = ctx.FlagValue(f.find(configName).Flag).(string)
		return path, true
	}
	path, _ = config.value.(string)
	return path, true
}

// settings returns what can be set: the flags of the command, but those with the tag
// setting:"-", and its arguments.
func settings(command *kong.Node) (list []*kong.Value) {
	for _, flag := range command.Flags {
		if flag.Name != "help" && flag.Tag.Get("setting") != "-" {
			list = append(list, flag.Value)
		}
	}
	return append(list, command.Positional...)
}

// find returns the setting of that name, or nil.
func (f *Flags) find(name string) *kong.Value {
	for _, setting := range settings(f.command) {
		if setting.Name == name {
			return setting
		}
	}
	return nil
}

// setArguments sets the arguments of the command, for which kong asks no resolver.
func (f *Flags) setArguments() {
	for _, argument := range f.command.Positional {
		if e := f.given[argument.Name]; e.value != nil {
			target := reflect.New(argument.Target.Type()).Elem()
			for _, word := range e.value.([]any) {
				target = reflect.Append(target, reflect.ValueOf(word))
			}
			argument.Target.Set(target)
		}
	}
}

// resolve returns the value of a flag that is not on the command line, or nil.
func (f *Flags) resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if f.find(flag.Name) != flag.Value {
		return nil, nil // of another command
	}
	return forKong(flag.Value, f.given[flag.Name].value), nil
}

// A Setting is one in force.
type Setting struct {
	Name  string `json:"name"`
	Value any    `json:"value"` // a bool, a number, a string, or a list of strings; nil if it has none
	Origin
}

// InForce returns all settings in the order of the flags, after the command line has
// been parsed.
func (f *Flags) InForce() (list []Setting) {
	for _, setting := range settings(f.command) {
		origin := Origin{From: FromDefault}
		if e, ok := f.given[setting.Name]; ok {
			origin = e.origin
		}
		list = append(list, Setting{setting.Name, current(setting, origin), origin})
	}
	return list
}

// flagNames finds the names of flags in the text of an error.
var flagNames = regexp.MustCompile(`--([a-z][a-z0-9-]*)`)

// Explain returns err, whose text begins with the flags that it is about, with the
// places where these were given, if that was not on the command line.
func (f *Flags) Explain(err error) error {
	if err == nil || f.given == nil {
		return err
	}
	head, _, _ := strings.Cut(err.Error(), ": ")
	var places []string
	for _, match := range flagNames.FindAllStringSubmatch(head, -1) {
		e, ok := f.given[match[1]]
		switch {
		case !ok:
		case e.origin.From == FromFlag:
			return err // it is seen there
		case !slices.Contains(places, e.origin.String()):
			places = append(places, e.origin.String())
		}
	}
	if len(places) == 0 {
		return err
	}
	return &placedError{strings.Join(places, ", "), err}
}

// A placedError is an error about settings that were given somewhere else than on the
// command line.
type placedError struct {
	places string
	err    error
}

// Error returns the text with the names of settings in place of those of flags.
func (e *placedError) Error() string {
	return e.places + ": " + flagNames.ReplaceAllString(e.err.Error(), "$1")
}

func (e *placedError) Unwrap() error { return e.err }
