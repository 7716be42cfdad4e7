package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
)

// runWith runs the program and returns its exit status and what it wrote.
func runWith(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// needSocket skips a test if the system allows no ICMP socket.
func needSocket(t *testing.T) {
	t.Helper()
	p, err := icmpcore.Open(icmpcore.Config{})
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

var (
	anyTime    = regexp.MustCompile(`\d+\.\d{3}`)
	anyElapsed = regexp.MustCompile(`\d+\.\d s\n`)
	anyBlanks  = regexp.MustCompile(` {2,}`)
)

// steady replaces what differs from run to run.
func steady(text string) string {
	text = anyElapsed.ReplaceAllString(anyTime.ReplaceAllString(text, "T"), "E s\n")
	return anyBlanks.ReplaceAllString(text, "  ")
}

func TestPingOneHost(t *testing.T) {
	needSocket(t)
	status, stdout, stderr := runWith(t, "", "ping", "-c", "2", "-i", "0.01", "--show-rtts", "--dscp", "ef", "127.0.0.1")
	want := `127.0.0.1: seq=1 reply ttl=64 time=T ms dscp=46 (EF)
127.0.0.1: seq=2 reply ttl=64 time=T ms dscp=46 (EF)
127.0.0.1: 2 of 2 answered, 0% loss
  packets  2 sent, 2 received
  rtt  min T  avg T  max T  median T  jitter T ms
  percentiles  p50 T  p90 T  p95 T  p99 T ms
  ipdv  T ms
  ttl  64, 1 hop, probably Linux/Unix/BSD/macOS/Android
  reply dscp  46 (EF)
  timestamps  kernel, raw socket
`
	got := strings.Replace(steady(stdout), "datagram socket", "raw socket", 1)
	if diff := cmp.Diff(want, got); diff != "" || status != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q, stdout (-want +got)\n%s", status, stderr, diff)
	}
}

func TestPingSeveralHosts(t *testing.T) {
	needSocket(t)
	status, stdout, stderr := runWith(t, "", "ping", "-c", "1", "127.0.0.1", "127.0.0.2")
	want := `host  sent  recv  loss  min ms  avg ms  max ms  p95 ms jitter ms  ttl hops
127.0.0.1  1  1  0%  T  T  T  T  -  64  1
127.0.0.2  1  1  0%  T  T  T  T  -  64  1
2 hosts: 2 answered; 2 of 2 echoes, 0% loss, E s
`
	if diff := cmp.Diff(want, steady(stdout)); diff != "" || status != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q, stdout (-want +got)\n%s", status, stderr, diff)
	}
}

func TestPingQuietShowsTrouble(t *testing.T) {
	needSocket(t)
	status, stdout, _ := runWith(t, "", "ping", "-q", "-c", "1", "127.0.0.1", "127.0.0.2")
	if want := "2 hosts: 2 answered; 2 of 2 echoes, 0% loss, E s\n"; steady(stdout) != want || status != 0 {
		t.Errorf("status %d, stdout %q, want %q", status, stdout, want)
	}
	status, stdout, _ = runWith(t, "::1\n", "ping", "-q", "-c", "1", "-4", "127.0.0.1", "-f", "-")
	want := `host  sent  recv  loss  min ms  avg ms  max ms  p95 ms jitter ms  ttl hops
::1  -  -  -  not an IPv4 address
2 hosts: 1 answered, 1 could not be pinged; 1 of 1 echo, 0% loss, E s
`
	if diff := cmp.Diff(want, steady(stdout)); diff != "" || status != statusNoAnswer {
		t.Errorf("status %d, stdout (-want +got)\n%s", status, diff)
	}
}

func TestPingStatus(t *testing.T) {
	needSocket(t)
	for _, tt := range []struct {
		args, stdin string
		want        int
	}{
		{"ping -c 1 127.0.0.1", "", 0},
		{"ping -c 1 -4 -f -", "::1\n", statusUnable},
		{"ping -c 1 -4 -f -", "::1\n::2\n", statusUnable},
		{"ping -c 1 -4 -j -f -", "::1\n", statusUnable},
		{"ping -c 1 -4 -f -", "::1\n127.0.0.1\n", statusNoAnswer},
		{"ping -c 1 -4 -q -f - 127.0.0.1", "::1\n", statusNoAnswer},
	} {
		if status, stdout, stderr := runWith(t, tt.stdin, strings.Fields(tt.args)...); status != tt.want || stderr != "" {
			t.Errorf("%s, stdin %q: status %d, want %d; stderr %q, stdout\n%s", tt.args, tt.stdin, status, tt.want, stderr, stdout)
		}
	}
}

// jsonKeys are the keys of a result in the order of the design.
const jsonKeys = "sent received loss min max mean median jitter rtt_list ttl hops os_guess p95 " +
	"host address family start duration p50 p90 p99 ipdv duplicates late reordered reply_dscp timestamps socket errors"

func TestPingJSON(t *testing.T) {
	needSocket(t)
	status, stdout, stderr := runWith(t, "127.0.0.2 # two\n\n127.0.0.3\n::1", "ping", "-j", "-q", "-c", "2", "-i", "0.01", "-f", "-", "127.0.0.1", "-4")
	if status != statusNoAnswer || stderr != "" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
	hosts := make(map[string]bool)
	for line := range strings.Lines(stdout) {
		var keys []string
		dec := json.NewDecoder(strings.NewReader(line))
		for depth := 0; ; {
			token, err := dec.Token()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			switch v := token.(type) {
			case json.Delim:
				depth += map[json.Delim]int{'{': 1, '[': 1, '}': -1, ']': -1}[v]
			case string:
				if depth == 1 && strings.Contains(line, `"`+v+`":`) {
					keys = append(keys, v)
				}
			}
		}
		if got := strings.Join(keys, " "); !strings.HasPrefix(got, jsonKeys) {
			t.Errorf("keys %q, want them to begin %q", got, jsonKeys)
		}
		var r struct {
			Host     string
			Received int
			Error    string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		hosts[r.Host] = r.Received == 2 && r.Error == "" || r.Host == "::1" && r.Error != ""
	}
	if diff := cmp.Diff(map[string]bool{"127.0.0.1": true, "127.0.0.2": true, "127.0.0.3": true, "::1": true}, hosts); diff != "" {
		t.Errorf("hosts as they should be (-want +got)\n%s", diff)
	}
}

func TestPingManyHostsFromAFile(t *testing.T) {
	needSocket(t)
	var file strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&file, "127.1.%d.%d\n", i/250, i%250+1)
	}
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := runWith(t, "", "ping", "-c", "1", "-j", "-f", path)
	if n := strings.Count(stdout, `"received":1,`); status != 0 || n != 1000 || stderr != "" {
		t.Errorf("status %d, %d of 1000 answered, stderr %q", status, n, stderr)
	}
}

// cancelAfter is a stdout that calls cancel when it has seen a text.
type cancelAfter struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	text   string
	cancel func()
}

func (w *cancelAfter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	if strings.Contains(w.buf.String(), w.text) {
		w.cancel()
	}
	return len(b), nil
}

func TestInterruptPrintsTheSummary(t *testing.T) {
	needSocket(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdout := &cancelAfter{text: "seq=3 reply", cancel: cancel}
	var stderr bytes.Buffer
	status := run(ctx, []string{"ping", "-c", "0", "-i", "0.01", "--show-rtts", "127.0.0.1"}, strings.NewReader(""), stdout, &stderr)
	if got := stdout.buf.String(); status != 0 || !strings.Contains(got, " answered, 0% loss\n") || strings.Contains(got, "closed") || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q, stdout %q", status, stderr.String(), got)
	}
}

// TestInterruptLeavesOutWhatNeverBegan interrupts a run while most hosts wait for their
// turn. At six echoes a second the run would take eleven minutes.
func TestInterruptLeavesOutWhatNeverBegan(t *testing.T) {
	needSocket(t)
	var hosts strings.Builder
	for i := range 4000 {
		fmt.Fprintf(&hosts, "127.1.%d.%d\n", i/250, i%250+1)
	}
	for _, form := range []string{"-j", "--show-rtts", "-c=1"} {
		ctx, cancel := context.WithCancel(t.Context())
		stdout := &cancelAfter{text: "127.1.0.1", cancel: cancel}
		var stderr bytes.Buffer
		status := run(ctx, []string{"ping", "-c", "1", "-r", "6", form, "-f", "-"}, strings.NewReader(hosts.String()), stdout, &stderr)
		got := stdout.buf.String()
		if status != statusNoAnswer || stderr.Len() > 0 {
			t.Errorf("%s: status %d, stderr %q", form, status, stderr.String())
		}
		if strings.Contains(got, `"sent":0`) || strings.Contains(got, "ended before") || strings.Count(got, "127.1.") > 100 {
			t.Errorf("%s: hosts that never began are in\n%.2000s", form, got)
		}
	}
}

func TestInterruptWhileStdinIsRead(t *testing.T) {
	needSocket(t)
	ctx, cancel := context.WithCancel(t.Context())
	stdin, feed := io.Pipe()
	defer feed.Close()
	go io.WriteString(feed, "127.0.0.1\n") // ends when stdin is read; nothing more comes
	stdout := &cancelAfter{text: "127.0.0.1", cancel: cancel}
	var stderr bytes.Buffer
	status := run(ctx, []string{"ping", "-c", "1", "-f", "-"}, stdin, stdout, &stderr)
	if got := stdout.buf.String(); status != 0 || !strings.Contains(got, "1 host: 1 answered") || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q, stdout %q", status, stderr.String(), got)
	}
}

// brokenWriter fails like a closed pipe or a full disk.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestStdoutThatFails(t *testing.T) {
	needSocket(t)
	config := writeConfig(t, "[defaults]\ncount = 1\n[[targets]]\nhosts = [\"127.0.0.1\"]\n")
	for _, tt := range []struct {
		args   string
		status int    // where the disk is full
		before string // of the one line on stderr
	}{
		{"ping -c 0 -i 0.01 --show-rtts 127.0.0.1", statusUnable, "pingtel: "},
		{"ping -c 1 -j 127.0.0.1 ::1", statusUnable, "pingtel: "},
		{"check -n 1 127.0.0.1", 3, "pingtel: "},
		{"check", 3, ""},
		{"telegraf --once --config " + config, statusUnable, "E! "},
		{"version", statusUnable, "pingtel: "},
		{"config check " + config, statusUnable, "pingtel: "},
		{"--help", statusUnable, "pingtel: "},
		{"completion bash", statusUnable, "pingtel: "},
	} {
		for _, errno := range []syscall.Errno{syscall.EPIPE, syscall.ENOSPC} {
			var stderr bytes.Buffer
			status := run(t.Context(), strings.Fields(tt.args), strings.NewReader(""), brokenWriter{errno}, &stderr)
			want, said := tt.status, stderr.String()
			if errno == syscall.EPIPE {
				if want != 3 {
					want = statusReaderLeft
				}
				if strings.Contains(said, "broken pipe") || tt.before != "" && said != "" {
					t.Errorf("%s: stderr %q, want nothing where the reader has left", tt.args, said)
				}
			} else if tt.before != "" && (!strings.HasPrefix(said, tt.before) || !strings.Contains(said, "no space left on device") || strings.Count(said, "\n") != 1) {
				t.Errorf("%s: stderr %q, want a line with the reason", tt.args, said)
			}
			if status != want {
				t.Errorf("%s: status %d, want %d", tt.args, status, want)
			}
		}
	}
}

// panickingReader panics.
type panickingReader struct{}

func (panickingReader) Read([]byte) (int, error) { panic("no such thing") }

func TestCheckThatPanicsIsUnknown(t *testing.T) {
	needSocket(t)
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"check", "-f", "-"}, panickingReader{}, &stdout, &stderr)
	if want := "PING UNKNOWN - internal error: no such thing"; status != 3 || !strings.HasPrefix(stdout.String(), want) || strings.Count(stdout.String(), "\n") != 1 {
		t.Errorf("status %d, stdout %q, want 3, %q", status, stdout.String(), want)
	}
	if !strings.Contains(stderr.String(), "panickingReader") {
		t.Errorf("stderr %q, want the stack in it", stderr.String())
	}
}

func TestWrongInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(path, []byte("# nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args string
		want string // parts of the line, all of them
	}{
		{"", "no command given|check, |ping, "},
		{"pign", `unknown command "pign"|did you mean ping?`},
		{"traceroute", `unknown command "traceroute"|want one of`},
		{"ping", "no host given|HOST"},
		{"ping -x h", "unknown shorthand flag|pingtel ping --help"},
		{"ping --bogus h", "unknown flag: --bogus|pingtel ping --help"},
		{"ping h -c", "flag needs an argument|pingtel ping --help"},
		{"ping -c -1 h", `--count "-1"|from 0 to`},
		{"ping -t 0 -i 0 -s 7 --ttl 256 --dscp 64 -r -1 --socket tcp -m x -S y h",
			`--timeout "0": want 1ms to 1h|--interval "0": want 1ms to 24h|--size "7"|8 to 65507|--ttl "256"|1 to 255|--dscp "64"|0 to 63|--rate "-1"|--socket "tcp"|raw or datagram|--mark "x"|--source "y"`},
		{"ping -4 -6 h", "-4 and -6"},
		{"ping -4 -S ::1 h", "source ::1|ipv4"},
		{"ping -I nosuch0 h", `--interface "nosuch0"`},
		{"ping -f /nonexistent", "/nonexistent|no such file"},
		{"ping -f " + path, "names no host"},
		{"ping -f " + path + " -f " + path + " h", `--file "|there is "|already: want one file`},
		{"ping --file= h", `--file "": want the name of a file`},
		{"check -f a -f b h", `--file "b": there is "a" already`},
		{"version x", "'pingtel version' takes no argument|x"},
		{"help nosuch", "unknown command \"nosuch\"|want one of"},
		{"help config chek", "unknown command \"chek\"|did you mean check?"},
		{"config chek", "unknown command \"chek\"|did you mean check?"},
		{"config", "no command given|check"},
		{"config check", "0 files given|pingtel config check FILE"},
		{"completion nosuch", "unknown command \"nosuch\"|bash, "},
		{"ping 0.0.0.0", "host 0.0.0.0: want the address of a host"},
		{"ping http://b.test/x", `host "http://b.test/x": looks like a URL: want only its host, b.test`},
		{"ping b.test:80", "want b.test"},
		{"check root@b.test", "looks like user@host: want b.test"},
		{"ping 127.0.0.9-1", "ends before it begins"},
		{"ping 127.0.0.0/8", "the prefixes and ranges of one list have more hosts than the limit, 65536"},
		{"ping 127.1.0.0/17 127.2.0.0/17 127.3.0.0/17", "the prefixes and ranges of one list"},
		{"ping -6 127.0.0.0/29", "want an ipv6 address"},
		{"ping -6 127.0.0.1 ::1 127.0.0.2", "host 127.0.0.1: want an ipv6 address|host 127.0.0.2"},
		{"ping -S ::1 127.0.0.1", "host 127.0.0.1: --source ::1 is of the other family: want an ipv4 address"},
		{"ping fe80::1%nosuch0", `host fe80::1%nosuch0: zone "nosuch0": want the name or index of a network interface`},
		{"ping -c 0 -t 1h -i 1ms h", "timeout 1h0m0s: want less than 32768 intervals"},
		{"check 0.0.0.0", "host 0.0.0.0"},
		{"check --warn-jitter 1ms -n 1 h", "want -n 2 or more"},
		{"check", "no host given"},
		{"check -w 20% -c 20s --echo-timeout 2 h", "critical RTT 20s is never reached"},
		{"check -w 20ms,x% h", `--warning "20ms,x%"|100ms,20%`},
		{"check -w 200ms,90% -c 100ms,60% h", "warning RTT 200ms is above critical 100ms|warning loss 90% is above critical 60%"},
		{"check -c 2s --echo-timeout 1 h", "critical RTT 2s is never reached|--echo-timeout, 1s"},
		{"check -n 100 h", "--timeout 10s is too short|10.4s"},
		{"check -n 213504 -i 24h -t 2 h", "--timeout 2s is too short"},
		{"check -n 1073741824 -i 24h -t 24h h", "--timeout 24h0m0s is too short"},
		{"check -n 20 -r 1 h", "--timeout 10s is too short|19.5s"},
		{"check --perfdata some h", `--perfdata "some": want main, none, all`},
		{"check -n 0 h", `--count "0"|from 1 to`},
		{"check --warn-jitter x h", `--warn-jitter "x"|100ms`},
		{"check -f " + path, "the file names no host: want one on each line"},
	}
	for _, args := range []string{"ping|", "ping|-I||127.0.0.1"} {
		if status, stdout, stderr := runWith(t, "", strings.Split(args, "|")...); status != statusUnable || stdout != "" || !strings.Contains(stderr, `"": want`) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			if strings.Contains(tt.args, path) {
				needSocket(t)
			}
			status, stdout, stderr := runWith(t, "", strings.Fields(tt.args)...)
			wantStatus, wantStdout := statusUnable, ""
			if strings.HasPrefix(tt.args, "check") {
				wantStatus, wantStdout = 3, "PING UNKNOWN - "
			}
			if status != wantStatus || !strings.HasPrefix(stdout, wantStdout) || (wantStdout == "") != (stdout == "") {
				t.Errorf("status %d, stdout %q, want %d, %q", status, stdout, wantStatus, wantStdout)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "pingtel: ") {
				t.Errorf("stderr %q, want one line", stderr)
			}
			for want := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr %q, want %q in it", stderr, want)
				}
			}
		})
	}
}

func TestArgumentsAreShownHarmless(t *testing.T) {
	_, _, stderr := runWith(t, "", "ping\x1b[31m\n")
	if strings.ContainsRune(stderr, '\x1b') || strings.Count(stderr, "\n") != 1 {
		t.Errorf("stderr %q", stderr)
	}
}

func TestHelpAndCompletion(t *testing.T) {
	for args, want := range map[string]string{
		"--help": "pingtel ping 127.0.0.1 ::1", "ping --help": "pingtel ping -c 1 -r 0 -q -f hosts.txt", "check --help": "--warn-jitter 10",
		"version": "pingtel ", "completion bash": "bash completion", "__complete ping --dscp A": "AF41", "__complete ping --socket ": "datagram",
	} {
		status, stdout, _ := runWith(t, "", strings.Split(args, " ")...)
		wantStatus := 0
		if strings.HasPrefix(args, "check") {
			wantStatus = 3 // the help of a plugin is no verdict
		}
		if status != wantStatus || !strings.Contains(stdout, want) {
			t.Errorf("%s: status %d, stdout %q, want %q in it", args, status, stdout, want)
		}
	}
}

func TestCheck(t *testing.T) {
	needSocket(t)
	status, stdout, stderr := runWith(t, "", "check", "-i", "0.01", "127.0.0.1")
	want := "PING OK - 127.0.0.1: rta T ms, loss 0%, jitter T ms | rta=Tms;100;500;0 pl=0%;20;60;0;100 rtmin=Tms;;;0 rtmax=Tms;;;0 jitter=Tms;;;0\n"
	if steady(stdout) != want || status != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q, stdout %q, want %q", status, stderr, stdout, want)
	}
	status, stdout, _ = runWith(t, "", "check", "-i", "0.01", "-w", "0.001", "-c", "500", "127.0.0.1", "127.0.0.2")
	if want := "PING WARNING - 0 of 2 hosts ok, 2 warning: 127.0.0.1 WARNING rta T ms >= T ms; 127.0.0.2 WARNING"; status != 1 || !strings.HasPrefix(steady(stdout), want) {
		t.Errorf("status %d, stdout %q, want %q", status, stdout, want)
	}
	status, stdout, _ = runWith(t, "", "check", "-q", "-i", "0.01", "127.0.0.1")
	if status != 0 || stdout != "" {
		t.Errorf("quiet and well: status %d, stdout %q", status, stdout)
	}
	status, stdout, _ = runWith(t, "127.0.0.1\n::1\n", "check", "-q", "-n", "1", "-4", "-f", "-")
	if want := "PING UNKNOWN - 1 of 2 hosts ok, 1 unknown: ::1 UNKNOWN not an IPv4 address |"; status != 3 || !strings.HasPrefix(stdout, want) {
		t.Errorf("quiet and not well: status %d, stdout %q, want %q", status, stdout, want)
	}
}

// TestCheckManyHosts: the output for a scheduler is bounded, and a flag shows the rest.
func TestCheckManyHosts(t *testing.T) {
	needSocket(t)
	var hosts strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&hosts, "127.1.%d.%d\n", i/250, i%250+1)
	}
	check := func(more ...string) (int, string) {
		args := append([]string{"check", "-n", "1", "-t", "90", "-f", "-"}, more...)
		status, stdout, stderr := runWith(t, hosts.String(), args...)
		if stderr != "" {
			t.Errorf("%q: stderr %q", args, stderr)
		}
		return status, stdout
	}
	status, stdout := check("-w", "0.000001", "-c", "60s") // a nanosecond: each one alerts
	first, below, _ := strings.Cut(stdout, "\n")
	if status != 1 || len(stdout) > 8<<10 || !strings.HasPrefix(first, "PING WARNING - 0 of 1000 hosts ok, 1000 warning: 127.1.0.1 WARNING rta ") ||
		!strings.HasSuffix(first, " | hosts_ok=0;;;0;1000 hosts_warning=1000;;;0;1000 hosts_critical=0;;;0;1000 hosts_unknown=0;;;0;1000") ||
		!strings.HasPrefix(below, "127.1.0.1 WARNING rta ") || !strings.HasSuffix(below, " more\n") {
		t.Errorf("status %d, %d bytes, stdout %q", status, len(stdout), stdout)
	}
	if status, stdout = check("-q", "--perfdata", "all", "-w", "0.000001", "-c", "60s"); status != 1 || strings.Count(stdout, " pl'=0%;") != 1000 {
		t.Errorf("all: status %d, %d labels", status, strings.Count(stdout, " pl'="))
	}
	if status, stdout = check("--perfdata", "none", "-w", "60s", "-c", "60s"); status != 0 || stdout != "PING OK - 1000 of 1000 hosts ok\n" {
		t.Errorf("none: status %d, stdout %q", status, stdout)
	}
}

func TestCheckInterrupted(t *testing.T) {
	needSocket(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{"check", "127.0.0.1"}, strings.NewReader(""), &stdout, &stderr)
	if !strings.HasPrefix(stdout.String(), "PING UNKNOWN - ") || strings.Count(stdout.String(), "\n") != 1 || status != 3 {
		t.Errorf("status %d, stdout %q, stderr %q", status, stdout.String(), stderr.String())
	}
}

// TestHostForms gives prefixes, ranges, hosts with brackets and invalid hosts, as
// arguments and in a file. Each address must have its own result.
func TestHostForms(t *testing.T) {
	needSocket(t)
	const forms = "127.0.1.0/30 127.0.2.8-9 127.0.3.255-127.0.4.0 [::1]"
	want := []string{"127.0.1.1", "127.0.1.2", "127.0.2.8", "127.0.2.9", "127.0.3.255", "127.0.4.0", "::1"}
	hosts := func(t *testing.T, stdin string, args ...string) []string {
		t.Helper()
		status, stdout, stderr := runWith(t, stdin, append([]string{"ping", "-c", "1", "-j"}, args...)...)
		var got []string
		for line := range strings.Lines(stdout) {
			var r struct {
				Host     string
				Received int
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.Received != 1 {
				t.Errorf("%v, line %s", err, line)
			}
			got = append(got, r.Host)
		}
		slices.Sort(got)
		if status != 0 || stderr != "" {
			t.Errorf("status %d, stderr %q", status, stderr)
		}
		return got
	}
	if diff := cmp.Diff(want, hosts(t, "", strings.Fields(forms)...)); diff != "" {
		t.Errorf("arguments (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, hosts(t, strings.ReplaceAll(forms, " ", " # one\n"), "-f", "-")); diff != "" {
		t.Errorf("file (-want +got)\n%s", diff)
	}
	if _, stdout, _ := runWith(t, "", "ping", "-c", "1", "127.0.1.0/30"); !strings.HasPrefix(stdout, "host ") {
		t.Errorf("ping of a prefix: %q, want a table", stdout)
	}
	if status, stdout, _ := runWith(t, "", "check", "-n", "1", "127.0.1.8-10"); status != 0 || !strings.Contains(stdout, "3 of 3 hosts ok") {
		t.Errorf("check of a range: status %d, %q", status, stdout)
	}
	status, stdout, stderr := runWith(t, "127.0.1.1\nb.test:80\n127.0.0.0/8\n127.0.1.2", "ping", "-c", "1", "-f", "-")
	if status != statusUnable || !strings.Contains(stdout, "looks like host:port, and ICMP has no ports (80): want b.test") ||
		!strings.Contains(stderr, "line 3: 127.0.0.0/8: the prefixes and ranges of one list have more hosts than the limit, 65536") || strings.Contains(stdout, "127.0.1.2") {
		t.Errorf("file with faults: status %d, stdout %q, stderr %q", status, stdout, stderr)
	}
}
