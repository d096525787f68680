//go:build linux

package accessdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"credrpc/accessdb/cdb"
)

// Builder writes a compiled file, rule by rule, and puts it in the place of another
// in one step. It holds 8 bytes a rule and buffers of less than 2 MiB. A Builder
// belongs to one goroutine.
type Builder struct {
	path    string
	mode    fs.FileMode
	file    *os.File // the temporary file; nil after Commit and Close
	writer  *cdb.Writer
	scratch []byte
}

// Create begins a file that is to appear at path with the permission bits of mode.
// Until Commit it is a temporary file in the same directory, whose name begins with
// a dot.
func Create(path string, mode fs.FileMode) (*Builder, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &Builder{path: path, mode: mode.Perm(), file: f, writer: cdb.NewWriter(f)}, nil
}

// Add appends a rule. Of two with the same key the first one counts.
//
// Returns [ErrInvalidKey], [ErrRuleTooLarge] or [ErrMalformedRule], after which
// other rules may follow; [cdb.ErrTooLarge]; [ErrClosed] after Commit and Close; or
// an error of the file.
func (b *Builder) Add(r Rule) error {
	if b.file == nil {
		return ErrClosed
	}
	if !validKey(r.Key) {
		return fmt.Errorf("%w: %q", ErrInvalidKey, r.Key)
	}
	key := append(b.scratch[:0], r.Key...)
	record, err := AppendRecord(key, r)
	if err != nil {
		return err
	}
	b.scratch = record
	return b.writer.Add(record[:len(key)], record[len(key):])
}

// AddRecord appends a rule as it stands in a compiled file, where key and value
// come from one. The value must be what [AppendRecord] makes of a rule. Of two
// records with the same key the first one counts.
//
// Returns [ErrInvalidKey], [ErrUnknownValue] or [ErrMalformedRule], after which
// other records may follow; and otherwise what [Builder.Add] returns.
func (b *Builder) AddRecord(key, value []byte) error {
	if b.file == nil {
		return ErrClosed
	}
	if !validKey(string(key)) {
		return fmt.Errorf("%w: %q", ErrInvalidKey, key)
	}
	r, err := decodeRecord(value)
	if err == nil && r.decision == Deny && len(value) > 1 {
		err = malformedRule("something behind a deny")
	}
	if err != nil {
		return fmt.Errorf("%w: %q", err, key)
	}
	return b.writer.Add(key, value)
}

// Commit completes the file, makes it durable and renames it to its place: whoever
// opens the path meets the old file or the whole new one. When it fails, nothing
// has changed at the path, unless all that failed was to make the rename durable.
func (b *Builder) Commit() error {
	if b.file == nil {
		return ErrClosed
	}
	defer b.Close()
	if err := b.writer.Close(); err != nil {
		return err
	}
	if err := b.file.Chmod(b.mode); err != nil {
		return err
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(b.file.Name(), b.path); err != nil {
		return err
	}
	err := b.file.Close()
	b.file = nil
	return errors.Join(err, syncDirectory(filepath.Dir(b.path)))
}

// Close abandons a file that was not committed and removes the temporary one. After
// Commit it does nothing.
func (b *Builder) Close() error {
	if b.file == nil {
		return nil
	}
	f := b.file
	b.file = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// syncDirectory makes a rename in a directory durable, see fsync(2).
func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Compile makes a file of the rules in a directory, as s6-accessrules-cdb-from-fs
// does, sorted by key. Rules that say neither allow nor deny are left out. The file
// is replaced in one step, see [Builder.Commit]; mode gives its permission bits.
//
// What s6 refuses is refused: a file where a directory must be, whatever cannot be
// read (a missing env or exec excepted), too large an environment. The error names
// the path and may wrap [ErrRuleTooLarge].
func Compile(directoryPath, path string, mode fs.FileMode) error {
	o, err := (&directory{path: directoryPath}).open()
	if err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	defer o.close()
	o.complete = true
	b, err := Create(path, mode)
	if err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	defer b.Close()
	for rule, err := range o.each {
		if err == nil && rule.Decision != NotFound {
			err = b.Add(rule)
		}
		if err != nil {
			return fmt.Errorf("accessdb: %s: %w", o.join(rule.Key), err)
		}
	}
	if err := b.Commit(); err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	return nil
}

// CompileRecords makes a file of records in the text form that cdb -d of tinycdb
// writes, see [cdb.TextReader], in their order. It holds no more in memory than a
// [Builder] does, however many they are. The file is replaced in one step, and only
// when the text is complete; mode gives its permission bits.
//
// Every record must be one that [Builder.AddRecord] takes. The error tells which
// one is not, counted from 1, and where it begins in the text, in bytes; it may
// wrap [cdb.ErrMalformedText], [cdb.ErrTooLarge], [ErrInvalidKey],
// [ErrUnknownValue] or [ErrMalformedRule].
func CompileRecords(text io.Reader, path string, mode fs.FileMode) error {
	b, err := Create(path, mode)
	if err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	defer b.Close()
	records := cdb.NewTextReader(text, maxPathLength, maxValueLength)
	for {
		key, value, err := records.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("accessdb: %w", err)
		}
		if err := b.AddRecord(key, value); err != nil {
			record, offset := records.Position()
			return fmt.Errorf("accessdb: record %d, byte %d: %w", record, offset, err)
		}
	}
	if err := b.Commit(); err != nil {
		return fmt.Errorf("accessdb: %w", err)
	}
	return nil
}
