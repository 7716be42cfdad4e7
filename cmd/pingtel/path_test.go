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

// TestPathHabits: what people type for mtr and traceroute works, or one line says what to
// write.
func TestPathHabits(t *testing.T) {
	needSocket(t)
	for args, want := range map[string]string{
		"-n":                   "names are looked up only with --names",
		"-4":                   "",
		"-4 -c 2":              "",
		"-6":                   "want an ipv6 address, or leave out -4 and -6",
		"-c 5":                 "",
		"-c5":                  "",
		"--count=5":            "",
		"-i 0.2 -c 2":          "",
		"-i 1 -c 1":            "",
		"-s 100":               "",
		"-j":                   "",
		"--json":               "",
		"-h":                   "",
		"--help":               "",
		"-M":                   "",
		"--mtu":                "",
		"-r":                   "want it without mtr's -r",
		"-rw":                  "want it without mtr's -r",
		"-rn":                  "want it without mtr's -r",
		"-rwc 10":              "want it without mtr's -r",
		"--report":             "want it without mtr's -r",
		"--report-wide":        "want it without mtr's -r",
		"--report-cycles 10":   "want -c 10",
		"-w":                   "want -t 1 for traceroute's -w 1; mtr's -w is the default",
		"-w 1":                 "want -t 1 for traceroute's -w 1",
		"-b":                   "want --names",
		"-nb":                  "names are looked up only with --names",
		"-Q 0xb8":              "want --dscp EF for mtr's -Q 0xb8",
		"--tos 184":            "want --dscp EF",
		"-I":                   "want it without -I for traceroute's -I",
		"-T -p 443":            "pingtel probes with ICMP echo only",
		"-u":                   "pingtel probes with ICMP echo only",
		"--tcp":                "pingtel probes with ICMP echo only",
		"-q 1":                 "want -c 3 for traceroute's -q 3",
		"-f 3":                 "want it without -f for the first hop",
		"--max-ttl 20":         "want none of the numbers of hops",
		"--first-ttl 2":        "want none of the numbers of hops",
		"-A":                   "numbers of networks are not looked up",
		"-z":                   "networks are not looked up",
		"-y 2":                 "networks are not looked up",
		"-e":                   "MPLS labels are always shown",
		"-o LSD":               "the columns are always the same",
		"-a 192.0.2.1":         "want -S 192.0.2.1 for mtr's -a",
		"-F":                   "want -M for traceroute's -F",
		"-G 1":                 "want -t 1 for mtr's -G 1",
		"--csv":                "want -j",
		"--curses":             "'pingtel watch' is the live view",
		"--version":            "'pingtel version' says the version",
		"--nosuch":             "('pingtel path --help' lists the flags)",
		"--names -c 1 --flows": "want a whole number from 1 to 64",
	} {
		status, stdout, stderr := pathOf(t, append(strings.Fields(args), "127.0.0.1")...)
		if want == "" {
			if status != 0 || stderr != "" || stdout == "" {
				t.Errorf("%s: status %d, stderr %q, stdout %q", args, status, stderr, stdout)
			}
			continue
		}
		if status != statusUnable || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%s: status %d, stdout %q, stderr\n got %s\nwant %s", args, status, stdout, stderr, want)
		}
	}
	// It works, with a note, where the system allows marks.
	if status, _, stderr := pathOf(t, "-m", "30", "127.0.0.1"); !strings.Contains(stderr, "want it without -m for the most hops of mtr and traceroute") {
		t.Errorf("-m 30: status %d, stderr %q", status, stderr)
	}
}
