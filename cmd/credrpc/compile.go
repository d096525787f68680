package main

import (
	"io"
	"io/fs"
	"os"
	"strconv"

	"credrpc/accessdb"
)

type compileCommand struct {
	Source  string `arg:"" help:"Rules directory; with --records a file of records, or - for standard input."`
	File    string `arg:"" help:"Rules file to make, or to replace in one step."`
	Mode    string `short:"m" default:"0600" help:"Permissions of the file, octal, whatever the umask is."`
	Records bool   `help:"Read records as \"cdb -d\" of tinycdb writes them, any number of them."`
}

// Help describes what makes a file and what does not.
func (*compileCommand) Help() string {
	return `The file has the records that s6-accessrules-cdb-from-fs makes, sorted by key, and like the file of ` +
		`s6 2.11 only its owner can read it: for a server that runs as another user --mode has to say more. ` +
		`It appears at once, complete and on disk; whatever goes wrong before leaves the old file. ` +
		`Killed by a signal, the command leaves a temporary file beside it, whose name begins with a dot.

A record is +KLEN,DLEN:KEY->DATA and a newline, the lengths in decimal, the key KIND/NAME, ` +
		`the data as in a rules file: D, or A and the two lengths. An empty line ends them; ` +
		`without it nothing is made, since the records may have broken off. Of two with the same key the first counts.`
}

// Run makes the file.
func (c *compileCommand) Run(s streams) error {
	mode, err := strconv.ParseUint(c.Mode, 8, 32)
	switch {
	case err != nil || mode > uint64(fs.ModePerm):
		return usageError("--mode %q: want an octal number of at most 0777, such as 0640", c.Mode)
	case c.Source == "":
		return usageError("<source>: is empty")
	case c.File == "":
		return usageError("<file>: is empty")
	}
	if c.Records {
		err = compileRecords(s.in, c.Source, c.File, fs.FileMode(mode))
	} else {
		err = accessdb.Compile(c.Source, c.File, fs.FileMode(mode))
	}
	if err != nil {
		return systemError(err)
	}
	return nil
}

// compileRecords makes a file of the records at a path, or those of in.
func compileRecords(in io.Reader, path, file string, mode fs.FileMode) error {
	if path == "-" {
		return accessdb.CompileRecords(in, file, mode)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return accessdb.CompileRecords(f, file, mode)
}

type decompileCommand struct {
	File      string `arg:"" help:"Rules file."`
	Directory string `arg:"" help:"Directory to make; it must not exist."`
}

// Help describes when there is no directory.
func (*decompileCommand) Help() string {
	return `Compiling the directory again gives the same rules. A file with a rule for which that is not so ` +
		`is refused, and the directory removed.`
}

// Run makes the directory.
func (c *decompileCommand) Run() error {
	switch {
	case c.File == "":
		return usageError("<file>: is empty")
	case c.Directory == "":
		return usageError("<directory>: is empty")
	}
	if err := accessdb.Decompile(c.File, c.Directory); err != nil {
		return systemError(err)
	}
	return nil
}
