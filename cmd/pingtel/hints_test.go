package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestHints writes what people know from ping and fping: one line says what to
// write instead.
func TestHints(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"127.0.0.1":                 "want 'pingtel ping 127.0.0.1' to ping a host",
		"router.example.net":        "want 'pingtel ping router.example.net'",
		"198.18.0.0/24":             "want 'pingtel ping 198.18.0.0/24'",
		"localhost":                 "want 'pingtel ping localhost'",
		"gateway":                   "want one of check, completion, config,|want 'pingtel ping gateway'",
		"pign":                      "did you mean ping?",
		"-c 3 127.0.0.1":            "flags come after a command, as in 'pingtel ping -c 3 192.0.2.1'",
		"ping -W 1 h":               "'W' in -W: want -t 1 for ping's -W 1",
		"ping -n h":                 "want it without -n",
		"ping -nq h":                "want it without -n",
		"ping -D h":                 "want --show-rtts --timestamps",
		"ping -v h":                 "want it without -v, or --show-rtts",
		"ping -a h":                 "want --alive",
		"ping -u h":                 "want --dead",
		"ping -g 198.18.0.0/24":     "want the prefix or the range as HOST",
		"ping --generate h":         "want the prefix or the range as HOST",
		"ping -C 5 h":               "want -c 5 --show-rtts, or -c 5 -j",
		"ping -p 20 h":              "want -i 0.5 for fping's -p 500",
		"ping -l h":                 "want -c 0",
		"ping -Q 0xb8 h":            "want --dscp EF",
		"ping -M do h":              "-M takes no value: want -M alone for ping's -M do",
		"ping -M dont h":            "-M takes no value: want no -M for ping's -M dont",
		"ping -I 127.0.0.1 h":       "or -S 127.0.0.1 to send from that address",
		"ping -I nosuch0 h":         "want a network interface of this machine: ",
		"ping -f 127.0.0.1":         "want 'pingtel ping -i 0.01 127.0.0.1' for ping's -f",
		"ping -f no/such/file":      "no/such/file: no such file or directory",
		"ping --nosuch h":           "('pingtel ping --help' lists the flags)",
		"ping -x h":                 "('pingtel ping --help' lists the flags)",
		"ping --alive --dead h":     "--alive and --dead: want one of them",
		"ping --alive -j h":         "want no --json or --show-rtts",
		"ping --dead --show-rtts h": "want no --json or --show-rtts",
		"ping -w 0 h":               `--deadline "0": want 1ms to 8784h`,
	} {
		status, stdout, stderr := runWith(t, "", strings.Fields(args)...)
		if status != statusUnable || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
		for want := range strings.SplitSeq(want, "|") {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: stderr %q, want %q in it", args, stderr, want)
			}
		}
	}
}

// TestNotes: a value that may mean something else gets a line, and is obeyed.
func TestNotes(t *testing.T) {
	needSocket(t)
	for args, want := range map[string]string{
		"-t 64":    "pingtel: note: -t 64 waits 64 seconds for each reply (-t 64s says so without this note): want --ttl 64 for ping's -t, -t 64ms for fping's -t\n",
		"-t 500":   "pingtel: note: -t 500 waits 500 seconds for each reply (-t 500s says so without this note): want -t 500ms for fping's -t\n",
		"-t 64s":   "",
		"-t 2":     "",
		"-r 1":     "pingtel: note: -r 1 sends 1 echo request per second over all hosts: want -c 2 --until-reply for fping's -r\n",
		"-r 3":     "pingtel: note: -r 3 sends 3 echo requests per second over all hosts: want -c 4 --until-reply for fping's -r\n",
		"-r 0":     "",
		"-r 10000": "",
	} {
		status, _, stderr := runWith(t, "", slices.Concat([]string{"ping", "-c", "1"}, strings.Fields(args), []string{"127.0.0.1"})...)
		if status != 0 || stderr != want {
			t.Errorf("%s: status %d, stderr %q, want %q", args, status, stderr, want)
		}
	}
}

func TestVersionFlags(t *testing.T) {
	_, want, _ := runWith(t, "", "version")
	for _, args := range []string{"--version", "-V", "ping -V", "ping --version"} {
		if status, stdout, stderr := runWith(t, "", strings.Fields(args)...); status != 0 || stdout != want || stderr != "" {
			t.Errorf("%s: status %d, stdout %q, stderr %q, want %q", args, status, stdout, stderr, want)
		}
	}
}

// TestFileWithTheNameOfAHost is read, and no hint is given.
func TestFileWithTheNameOfAHost(t *testing.T) {
	needSocket(t)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("localhost", []byte("127.0.0.2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := runWith(t, "", "ping", "-c", "1", "-f", "localhost"); status != 0 || !strings.Contains(stdout, "127.0.0.2") || stderr != "" {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}
