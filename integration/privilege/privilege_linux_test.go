package privilege

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDropped checks the privileges of the running binary.
func TestDropped(t *testing.T) {
	inside(t, func(t *testing.T, bin string) {
		setcap(t, bin)
		forever := func(flags ...string) *exec.Cmd {
			args := append([]string{"ping", "-c", "0", "-i", "10ms", "--show-rtts", "--socket", "raw"}, flags...)
			return exec.Command(bin, append(args, "127.0.0.1")...)
		}
		config := configFile(t, bin)
		telegraf := func() *exec.Cmd { return exec.Command(bin, "telegraf", "--config", config) }
		otel := func() *exec.Cmd { return exec.Command(bin, "otel", "--stdout", "--config", config) }
		netRaw := fmt.Sprintf("%x", 1<<unix.CAP_NET_RAW)
		tests := []struct {
			name    string
			cmd     *exec.Cmd
			capable string // remaining capabilities, permitted and effective
			bounded bool   // the bounding set was emptied
		}{
			{"user 0", forever(), "", true},
			{"user 0 with a mark", forever("-m", "7"), netRaw, true},
			{"file capability", as(forever(), nobody), "", false},
			{"file capability with a mark", as(forever("-m", "7"), nobody), netRaw, false},
			{"user 0 of a container", contained(t, forever()), "", false},
			{"ambient capability", as(forever(), nobody, unix.CAP_NET_RAW), "", false},
			{"telegraf by user 0", telegraf(), "", true},
			{"telegraf by file capability", as(telegraf(), nobody), "", false},
			{"otel by user 0", otel(), "", true},
			{"otel by ambient capability", as(otel(), nobody, unix.CAP_NET_RAW), "", false},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				got := privileges(t, tt.cmd)
				want := map[string]string{"CapInh": "", "CapAmb": "", "CapPrm": tt.capable, "CapEff": tt.capable, "NoNewPrivs": "1"}
				if tt.bounded {
					want["CapBnd"] = ""
				}
				for key, value := range want {
					if got[key] != value {
						t.Errorf("%s = %q, want %q", key, got[key], value)
					}
				}
			})
		}
	})
}

// TestSockets checks which socket an ordinary user gets with each kind of permission.
func TestSockets(t *testing.T) {
	inside(t, func(t *testing.T, bin string) {
		capable := build(t)
		setcap(t, capable)
		const setcapCure, sysctlCure = "sudo setcap cap_net_raw+ep ", "sudo sysctl -w net.ipv4.ping_group_range='65534 65534'"
		tests := []struct {
			name      string
			bin       string
			low, high int // groups that may open datagram sockets
			flags     []string
			socket    string   // empty: none
			cures     []string // advice in the message if there is none
			notCures  []string
		}{
			{name: "file capability", bin: capable, low: 1, high: 0, socket: "raw"},
			{name: "file capability, datagram asked for", bin: capable, low: nobody, high: nobody,
				flags: []string{"--socket", "datagram"}, socket: "datagram"},
			{name: "group range", bin: bin, low: nobody, high: nobody, socket: "datagram"},
			{name: "nothing", bin: bin, low: 1, high: 0, cures: []string{setcapCure, sysctlCure}},
			{name: "group range, raw asked for", bin: bin, low: nobody, high: nobody,
				flags: []string{"--socket", "raw"}, cures: []string{setcapCure}, notCures: []string{sysctlCure}},
			{name: "nothing, datagram asked for", bin: bin, low: 1, high: 0,
				flags: []string{"--socket", "datagram"}, cures: []string{sysctlCure}, notCures: []string{setcapCure}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				allowGroups(t, tt.low, tt.high)
				for _, host := range []string{"127.0.0.1", "::1"} {
					args := append([]string{"ping", "-j", "-c", "2"}, tt.flags...)
					stdout, stderr, status := outcome(t, as(exec.Command(tt.bin, append(args, host)...), nobody))
					t.Logf("%s: status %d, stderr: %s", host, status, stderr)
					if tt.socket == "" {
						checkRefusal(t, stdout, stderr, status, tt.cures, tt.notCures)
						continue
					}
					var res struct {
						Socket   string
						Received int
					}
					if err := json.Unmarshal([]byte(stdout), &res); err != nil || status != 0 || stderr != "" {
						t.Fatalf("output %q (%v), stderr %q, status %d", stdout, err, stderr, status)
					}
					if res.Socket != tt.socket || res.Received != 2 {
						t.Errorf("%d replies over a %s socket, want 2 over %s", res.Received, res.Socket, tt.socket)
					}
				}
			})
		}
	})
}

// configFile writes a file beside the binary that everybody can read.
func configFile(t *testing.T, bin string) string {
	t.Helper()
	file := filepath.Join(filepath.Dir(bin), "pingtel.toml")
	text := "[agent]\ninterval = \"2s\"\n[otel]\ninsecure = true\n[[targets]]\nhosts = [\"127.0.0.1\", \"::1\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCommands runs the other commands as an ordinary user, with the file's capability
// and with the group range.
func TestCommands(t *testing.T) {
	inside(t, func(t *testing.T, bin string) {
		capable := build(t)
		setcap(t, capable)
		config := configFile(t, bin)
		for _, tt := range []struct {
			name, bin string
			low, high int // groups that may open datagram sockets
		}{
			{"file capability", capable, 1, 0},
			{"group range", bin, nobody, nobody},
		} {
			t.Run(tt.name, func(t *testing.T) {
				allowGroups(t, tt.low, tt.high)
				for _, cmd := range []struct {
					args []string
					want string
				}{
					{[]string{"check", "127.0.0.1", "::1"}, "PING OK - 2 of 2 hosts ok"},
					{[]string{"check", "--config", config}, "PING OK - 2 of 2 hosts ok"},
					{[]string{"telegraf", "--once", "--config", config}, "packets_received=5i,result_code=0i"},
				} {
					stdout, stderr, status := outcome(t, as(exec.Command(tt.bin, cmd.args...), nobody))
					if status != 0 || stderr != "" || !strings.Contains(stdout, cmd.want) {
						t.Errorf("%s: status %d, stderr %q, stdout %q, want %q", cmd.args, status, stderr, stdout, cmd.want)
					}
				}
			})
		}
	})
}

// checkRefusal checks how a command ends that gets no socket.
func checkRefusal(t *testing.T, stdout, stderr string, status int, cures, notCures []string) {
	t.Helper()
	if status != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, stdout %q, stderr %q; want 2, nothing, one line", status, stdout, stderr)
	}
	for _, cure := range cures {
		if !strings.Contains(stderr, cure) {
			t.Errorf("stderr %q lacks %q", stderr, cure)
		}
	}
	for _, no := range notCures {
		if strings.Contains(stderr, no) {
			t.Errorf("stderr %q has %q, which does not help", stderr, no)
		}
	}
}

// TestCure follows the advice of the message and checks that it helps.
func TestCure(t *testing.T) {
	inside(t, func(t *testing.T, bin string) {
		allowGroups(t, 1, 0)
		ping := func() *exec.Cmd { return as(exec.Command(bin, "ping", "-c", "1", "127.0.0.1"), nobody) }
		_, stderr, status := outcome(t, ping())
		if status != 2 || !strings.Contains(stderr, "cap_net_raw+ep "+bin+"`") {
			t.Fatalf("status %d, stderr %q; want 2 and setcap of %s", status, stderr, bin)
		}
		setcap(t, bin)
		if _, stderr, status := outcome(t, ping()); status != 0 {
			t.Errorf("after setcap: status %d, stderr %q; want 0", status, stderr)
		}
	})
}

// TestCheckUnknown checks the output of a check without a socket.
func TestCheckUnknown(t *testing.T) {
	inside(t, func(t *testing.T, bin string) {
		allowGroups(t, 1, 0)
		stdout, _, status := outcome(t, as(exec.Command(bin, "check", "127.0.0.1"), nobody))
		if status != 3 || !strings.Contains(stdout, "UNKNOWN") || !strings.Contains(stdout, "setcap") {
			t.Errorf("status %d, stdout %q; want 3, UNKNOWN and the cure", status, stdout)
		}
	})
}
