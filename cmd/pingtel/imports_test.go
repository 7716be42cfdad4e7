package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pingtel/pingtel"

// TestImportArrows checks which package of the module imports which.
func TestImportArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		paths := strings.Fields(line)
		from := strings.TrimPrefix(paths[0], module+"/")
		seen[from] = true
		for _, path := range paths[1:] {
			if to, ours := strings.CutPrefix(path, module+"/"); ours && !mayImport(from, to) {
				t.Errorf("%s imports %s: the arrows of the design forbid it", from, to)
			}
		}
	}
	for _, want := range []string{"icmpcore", "cmd/pingtel"} {
		if !seen[want] {
			t.Errorf("go list does not show %s: it lists %v", want, seen)
		}
	}
}

// mayImport reports whether an import is allowed: cmd → internal/agent → outputs →
// internal/monitor → icmpcore. Public packages import none of internal. The outputs are
// the packages of internal that use a public one.
func mayImport(from, to string) bool {
	folder := func(path string) string {
		first, _, _ := strings.Cut(path, "/")
		return first
	}
	allowed := map[string][]string{
		"cmd":         {"plugin", "internal", "icmpcore"},
		"plugin":      {"icmpcore"},
		"otel":        {"icmpcore"},
		"internal":    {"internal", "icmpcore"},
		"integration": {"plugin", "otel", "internal", "icmpcore", "integration"},
	}
	switch from + " " + to {
	case "internal/output otel", "internal/otlp otel", "internal/web otel", "internal/execd plugin", "internal/agent plugin":
		return true
	}
	if f := folder(from); f == folder(to) && (f == "plugin" || f == "otel") {
		return true // a package and its own parts
	}
	return slices.Contains(allowed[folder(from)], folder(to))
}

func TestMayImport(t *testing.T) {
	for arrow, want := range map[[2]string]bool{
		{"cmd/pingtel", "plugin"}: true, {"cmd/pingtel", "icmpcore"}: true, {"plugin", "internal/monitor"}: false, {"otel", "icmpcore"}: true,
		{"internal/otlp", "otel"}: true, {"internal/execd", "plugin"}: true, {"cmd/pingtel", "otel"}: false, {"internal/config", "otel"}: false, {"otel", "internal/config"}: false,
		{"plugin", "otel"}: false, {"otel", "plugin"}: false, {"icmpcore", "internal/dscp"}: false, {"plugin", "cmd/pingtel"}: false,
		{"internal/monitor", "plugin"}: false, {"cmd/other", "cmd/pingtel"}: false, {"icmpcore", "icmpcore/sub"}: false,
	} {
		if got := mayImport(arrow[0], arrow[1]); got != want {
			t.Errorf("mayImport(%s, %s) = %v, want %v", arrow[0], arrow[1], got, want)
		}
	}
}
