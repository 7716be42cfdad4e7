package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pathOf runs path with arguments.
func pathOf(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"path"}, args...), strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// TestPath traces loopback, which is one hop away.
func TestPath(t *testing.T) {
	status, stdout, stderr := pathOf(t, "--mtu", "--dscp", "EF", "127.0.0.1", "127.0.0.2")
	if status != 0 || stderr != "" {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, want := range []string{"127.0.0.1: 1 hop, 5 echoes, MTU ", "\nhop  address ", "  1  127.0.0.1      3/3  ", "\nthe target answers, 1 hop away\n\n127.0.0.2: 1 hop"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q in\n%s", want, stdout)
		}
	}
}

// TestPathJSON: one object for each host, with all keys also for one that cannot be traced.
func TestPathJSON(t *testing.T) {
	status, stdout, stderr := pathOf(t, "-j", "-c", "2", "127.0.0.1", "nowhere.invalid")
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if status != statusNoAnswer || stderr != "" || len(lines) != 2 {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	want := []string{"address", "cause", "hops", "host", "last_address", "last_hop", "length", "mtu", "reached", "verdict"}
	for i, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if _, failed := got["error"]; failed != (i == 1) || got["reached"] != (i == 0) {
			t.Errorf("%s", line)
		}
		delete(got, "error")
		var keys []string
		for key := range got {
			keys = append(keys, key)
		}
		if d := cmp.Diff(want, slices.Sorted(slices.Values(keys))); d != "" {
			t.Errorf("keys (-want +got):\n%s", d)
		}
	}
}

// TestPathStatus: 2 means that nothing could be measured.
func TestPathStatus(t *testing.T) {
	for args, want := range map[string]string{
		"nowhere.invalid":      "",
		"":                     "no host given",
		"-c 0 127.0.0.1":       `--count "0": want a whole number from 1 to 1000`,
		"-s 8 127.0.0.1":       "want a whole number from 10 to 65507",
		"-f 3 127.0.0.1":       "want it without -f for the first hop",
		"-q 3 127.0.0.1":       "want -c 3 for traceroute's -q 3",
		"--no-dns 127.0.0.1":   "names are looked up only with --names",
		"--ttl 3 127.0.0.1":    "unknown flag: --ttl",
		"--aslookup 127.0.0.1": "networks are not looked up",
	} {
		status, stdout, stderr := pathOf(t, strings.Fields(args)...)
		if status != statusUnable || !strings.Contains(stderr, want) {
			t.Errorf("path %s: status %d, want %d and %q\n%s%s", args, status, statusUnable, want, stdout, stderr)
		}
	}
}
