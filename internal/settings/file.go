package settings

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"credrpc/internal/trust"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile is the most bytes of a file, far more than settings need.
const maxFile = 1 << 20

// readFile takes settings from a file, and returns what is wrong with it.
func (f *Flags) readFile(path string) (problems []string) {
	text, err := load(path)
	if err != nil {
		return []string{err.Error()}
	}
	values := make(map[string]any)
	if err := toml.Unmarshal(text, &values); err != nil {
		return []string{path + describe(err)}
	}
	lines := keyLines(text)
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return lines[a] - lines[b] })
	for _, name := range names {
		origin := Origin{From: FromFile, File: path, Line: lines[name]}
		if err := f.take(name, values[name], origin); err != nil {
			problems = append(problems, fmt.Sprintf("%v: %s: %v", origin, name, err))
		}
	}
	return problems
}

// take takes one setting.
func (f *Flags) take(name string, value any, origin Origin) error {
	setting := f.find(name)
	if setting == nil || name == configName {
		if dashed := strings.ReplaceAll(strings.ToLower(name), "_", "-"); dashed != name && f.find(dashed) != nil {
			return fmt.Errorf("is no setting; write %s", dashed)
		}
		return errors.New(`is no setting of a file; "credrpc config example" has them all`)
	}
	if err := check(setting, value); err != nil {
		return err
	}
	f.give(name, value, origin)
	return nil
}

// load returns what is in a file that nobody else can change.
func load(path string) ([]byte, error) {
	if path == "" {
		return nil, errors.New("--config: is empty")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("--config: %s is no regular file", path)
	}
	var others *trust.Error
	switch err := trust.File(path); {
	case errors.As(err, &others):
		return nil, fmt.Errorf("--config: others could change %s: %w; take that from them, or move the file", path, err)
	case err != nil:
		return nil, fmt.Errorf("--config: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("--config: %s: want at most %d bytes", path, maxFile)
	}
	return text, nil
}

// describe says where the file is no TOML, and why.
func describe(err error) string {
	var wrong *toml.DecodeError
	if !errors.As(err, &wrong) {
		return ": " + err.Error()
	}
	line, column := wrong.Position()
	hint := ""
	if strings.Contains(wrong.Error(), "leading zero") {
		hint = `; a mode is text in quotes, such as "0660"`
	}
	return fmt.Sprintf(":%d:%d: no TOML: %s%s", line, column, strings.TrimPrefix(wrong.Error(), "toml: "), hint)
}

// keyLines returns the line of each key outside tables, and of each table. The text is
// correct TOML.
func keyLines(text []byte) map[string]int {
	lines := make(map[string]int)
	inTable := false
	var parser unstable.Parser
	parser.Reset(text)
	for parser.NextExpression() {
		expression := parser.Expression()
		isKey := expression.Kind == unstable.KeyValue
		inTable = inTable || !isKey
		if isKey && inTable {
			continue
		}
		key := expression.Key()
		if !key.Next() {
			continue
		}
		name := string(key.Node().Data)
		if _, ok := lines[name]; !ok {
			lines[name] = parser.Shape(key.Node().Raw).Start.Line
		}
	}
	return lines
}
