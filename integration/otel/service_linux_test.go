package otel

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestService acts as the service manager: readiness, watchdog, a reload, a reload of a
// broken file, the end.
func TestService(t *testing.T) {
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		path := filepath.Join(t.TempDir(), "notify")
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		// await reads until a message begins so, and lets only the watchdog's pass.
		await := func(want string) {
			t.Helper()
			b := make([]byte, 4096)
			for {
				n, err := socket.Read(b)
				if err != nil {
					t.Fatalf("waiting for %s: %v", want, err)
				}
				if got := string(b[:n]); strings.HasPrefix(got, want) {
					return
				} else if got != "WATCHDOG=1" && !strings.HasPrefix(got, "READY=1") {
					t.Errorf("%q before %s", got, want)
				}
			}
		}
		file := pingtelFile(t, "", answers)
		cmd := exec.Command(peer.Pingtel(), "otel", "--config", file)
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=200000")
		p := peer.Start(t, cmd)
		await("READY=1\nSTATUS=probing 1 targets")
		await("WATCHDOG=1")
		p.Signal(syscall.SIGHUP)
		await("RELOADING=1\nMONOTONIC_USEC=")
		await("READY=1")
		if err := os.WriteFile(file, []byte("[agent]\ninterval = \"soon\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Signal(syscall.SIGHUP)
		await("RELOADING=1")
		await("READY=1\nSTATUS=probing 1 targets")
		await("WATCHDOG=1")
		p.Signal(syscall.SIGTERM)
		await("STOPPING=1")
		peer.Await(t, "the end", p.Ended)
		if s := p.Text(); p.Cmd.ProcessState.ExitCode() != 0 || !strings.Contains(s, "the configuration stays as it was") || !strings.Contains(s, "agent.interval") {
			t.Errorf("status %d, said:\n%s", p.Cmd.ProcessState.ExitCode(), s)
		}
	})
}

// unlike returns the lines of a log without those that say another time that a push
// has failed, for another reason: how the system tells of a connection that its peer
// has closed depends on what was under way at that moment.
func unlike(log string) []string {
	reasons := map[string]bool{}
	return slices.DeleteFunc(slices.Collect(strings.Lines(log)), func(line string) bool {
		_, reason, failed := strings.Cut(line, "a push has failed")
		again := failed && len(reasons) > 0 && !reasons[reason]
		if failed {
			reasons[reason] = true
		}
		return again
	})
}

// TestStrangers points pingtel at servers that are not its collector. One line must say
// so, one for each reason, and pingtel must keep measuring and end in time.
func TestStrangers(t *testing.T) {
	peer.Collector(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		ours, theirs := newPKI(t), newPKI(t)
		startCollector(t, "collector-tls.yaml", filepath.Join(t.TempDir(), "metrics.json"),
			"/etc/otelcol/server.pem", theirs.file("server.pem"), "/etc/otelcol/server-key.pem", theirs.file("server-key.pem"),
			"/etc/otelcol/client-ca.pem", theirs.file("ca.pem"))
		silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		for name, tt := range map[string]struct{ otel, said string }{
			"nobody there":              {`endpoint = "127.0.0.1:1"`, "connection refused"},
			"nobody there, HTTP":        {"endpoint = \"http://127.0.0.1:1\"\nprotocol = \"http/protobuf\"", "connection refused"},
			"unknown authority":         {fmt.Sprintf("endpoint = \"localhost:4317\"\nca_file = %q", ours.file("ca.pem")), "certificate signed by unknown authority"},
			"unknown authority, HTTP":   {fmt.Sprintf("endpoint = \"https://localhost:4318\"\nprotocol = \"http/protobuf\"\nca_file = %q", ours.file("ca.pem")), "certificate signed by unknown authority"},
			"no certificate of ours":    {fmt.Sprintf("endpoint = \"localhost:4317\"\nca_file = %q", theirs.file("ca.pem")), "the collector asks for a certificate of ours"},
			"TLS wanted, none spoken":   {"endpoint = \"localhost:4317\"\ninsecure = true", "push to localhost:4317"},
			"accepts, and says nothing": {fmt.Sprintf("endpoint = %q\ntimeout = \"500ms\"", silent.Addr()), "DeadlineExceeded"},
			"HTTP path of another":      {fmt.Sprintf("endpoint = \"https://localhost:4318/other\"\nprotocol = \"http/protobuf\"\nca_file = %q\ncert_file = %q\nkey_file = %q", theirs.file("ca.pem"), theirs.file("client.pem"), theirs.file("client-key.pem")), "404 Not Found"},
		} {
			t.Run(name, func(t *testing.T) {
				before := len(n.Arrived())
				p := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config", pingtelFile(t, tt.otel, answers)))
				peer.Await(t, "four rounds", func() bool { return len(n.Arrived()) >= before+20 }, p)
				peer.Await(t, "a word of it", func() bool { return strings.Contains(p.Text(), "a push has failed") }, p)
				stopPingtel(t, p)
				if s := p.Text(); len(unlike(s)) != 3 || !strings.Contains(s, tt.said) || !strings.Contains(s, "the counts that no push has delivered are lost") {
					t.Errorf("said:\n%s", s)
				}
			})
		}
	})
}
