package version

import (
	"runtime/debug"
	"testing"
)

func TestNote(t *testing.T) {
	build := &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.time", Value: "2026-11-24T14:00:00Z"}, {Key: "vcs.modified", Value: "true"}}}
	i := Info{Go: "go1.26", Platform: "linux/arm64"}
	i.note(build)
	if got, want := i.String(), "devel\ncommit  0123abc, modified\ndate    2026-11-24T14:00:00Z\ngo      go1.26 linux/arm64\n"; got != want {
		t.Errorf("%q", got)
	}
	if got, want := (Info{Version: "v1"}).String(), "v1\ncommit  unknown\ndate    unknown\ngo       \n"; got != want {
		t.Errorf("%q", got)
	}
	if i := Read(); i.Version == "" || i.Go == "" || i.Platform == "" {
		t.Errorf("%+v", i)
	}
}
