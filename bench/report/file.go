package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Format is the version of the files that [File.WriteJSON] writes. It grows when
// a program that reads an older version would misunderstand a newer one.
const Format = 2

// ErrFormat reports a file that is not a result of the benchmark, or one of
// another version.
var ErrFormat = errors.New("report: not a result file")

// A File is what a command of the benchmark found.
type File struct {
	Format  int       `json:"format"`  // [Format]
	Command string    `json:"command"` // its name, such as "quick"
	Reports []*Report `json:"reports"`
}

// WriteJSON writes the file to w.
func (f *File) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(f)
}

// ReadFile reads a file that [File.WriteJSON] wrote. It returns [ErrFormat] for
// any other.
func ReadFile(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
	}
	if version.Format != Format {
		return nil, fmt.Errorf("%w: %s has format %d, and this program reads %d; make it anew", ErrFormat, path, version.Format, Format)
	}
	f := new(File)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFormat, path, err)
	}
	return f, nil
}
