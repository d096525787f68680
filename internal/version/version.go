// Package version says which build of a program runs.
//
// A release is built with what it is, by the Makefile:
//
//	go build -ldflags "-X credrpc/internal/version.number=v1.2.3 -X credrpc/internal/version.commit=... -X credrpc/internal/version.date=..."
//
// so that the bytes of a program depend on nothing else, not on the directory or on
// what git knows there. Any other build says what the go command has noted, see
// [debug.BuildInfo].
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Set by the linker, which can set variables only.
var number, commit, date string

// Info says which build this is. What is not known is empty.
type Info struct {
	Version  string `json:"version"` // such as v1.2.3, or devel
	Commit   string `json:"commit"`
	Modified bool   `json:"modified"` // the source differs from the commit
	Date     string `json:"date"`     // of the commit, as in RFC 3339
	Go       string `json:"go"`
	Platform string `json:"platform"` // such as linux/amd64
}

// Read returns what is known of this build.
func Read() Info {
	i := Info{Version: number, Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if ok && number == "" {
		i.note(build)
	}
	i.Version = cmp.Or(i.Version, "devel")
	return i
}

// note takes what the go command has noted.
func (i *Info) note(build *debug.BuildInfo) {
	i.Version = strings.Trim(build.Main.Version, "()")
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			i.Commit = setting.Value
		case "vcs.time":
			i.Date = setting.Value
		case "vcs.modified":
			i.Modified = setting.Value == "true"
		}
	}
}

// String returns a few lines for people.
func (i Info) String() string {
	commit := cmp.Or(i.Commit, "unknown")
	if i.Modified {
		commit += ", modified"
	}
	return fmt.Sprintf("%s\ncommit  %s\ndate    %s\ngo      %s %s\n", i.Version, commit, cmp.Or(i.Date, "unknown"), i.Go, i.Platform)
}
