package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: "v0.1.0"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.modified", Value: "true"},
	}}
	if got, want := version(info), "pingtel v0.1.0, commit abc123, modified, go1.26.8, "; !strings.HasPrefix(got, want) {
		t.Errorf("version = %q, want %q", got, want)
	}
	if got, want := version(&debug.BuildInfo{GoVersion: "go1.26.8"}), "pingtel (devel), commit unknown, go1.26.8, "; !strings.HasPrefix(got, want) {
		t.Errorf("version = %q, want %q", got, want)
	}
}
