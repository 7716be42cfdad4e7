package otel

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestConfined: a process that listens confines itself with Landlock, and still does
// all that it has to: looks names up, takes a certificate and a configuration that
// are replaced as editors and Kubernetes replace them. A file elsewhere is refused,
// with the reason.
func TestConfined(t *testing.T) {
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		dns.Serve(t, func(_ string, ipv6 bool) dns.Reply {
			if ipv6 {
				return dns.Reply{}
			}
			return dns.Addr(answers)
		})
		dir, one, two := t.TempDir(), newPKI(t), newPKI(t)
		lists, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
		list := func(host string) { // as an editor does
			t.Helper()
			name := filepath.Join(lists, "hosts.txt")
			if err := errors.Join(os.WriteFile(name+"~", []byte(host+"\n"), 0o600), os.Rename(name+"~", name)); err != nil {
				t.Fatal(err)
			}
		}
		list("listed.test")
		// put makes a new folder of files the one behind the link ..data, as the kubelet does.
		version := 0
		put := func(toml string, p pki) {
			t.Helper()
			version++
			name := fmt.Sprintf("..%d", version)
			files := map[string]string{"pingtel.toml": toml, "web.yml": "tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\n"}
			for _, f := range []string{"server.pem", "server-key.pem"} {
				b, err := os.ReadFile(p.file(f))
				if err != nil {
					t.Fatal(err)
				}
				files[f] = string(b)
			}
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
			for f, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name, f), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink("..data/"+f, filepath.Join(dir, f)); version == 1 && err != nil {
					t.Fatal(err)
				}
			}
			data := filepath.Join(dir, "..data")
			if err := errors.Join(os.Symlink(name, data+".tmp"), os.Rename(data+".tmp", data)); err != nil {
				t.Fatal(err)
			}
		}
		toml := func(host, more string) string {
			return fmt.Sprintf("[agent]\ninterval = \"1s\"\nlog_level = \"debug\"\nstate = %q\n[defaults]\ncount = 1\n[[targets]]\nhosts = [%q]\n[[targets]]\nfile = %q\nrefresh = \"1s\"\n"+
				"[web]\nlisten = \"127.0.0.1:9473\"\nconfig_file = %q\n%s",
				state, host, filepath.Join(lists, "*.txt"), filepath.Join(dir, "web.yml"), more)
		}
		put(toml("first.test", ""), one)
		p := peer.Start(t, dns.Asking(t, "timeout:3 attempts:1")(peer.Pingtel(), "serve", "--config", filepath.Join(dir, "pingtel.toml")))
		metrics := func(p pki) (string, error) {
			ca, err := os.ReadFile(p.file("ca.pem"))
			if err != nil {
				t.Fatal(err)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(ca)
			client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}, DisableKeepAlives: true}}
			r, err := client.Get("https://127.0.0.1:9473/metrics")
			if err != nil {
				return "", err
			}
			defer r.Body.Close()
			b, err := io.ReadAll(r.Body)
			return string(b), err
		}
		measures := func(host string, p pki) func() bool {
			return func() bool {
				text, err := metrics(p)
				return err == nil && strings.Contains(text, fmt.Sprintf(`ping_up{network_peer_address=%q,network_type="ipv4",server_address=%q} 1`, answers, host))
			}
		}
		peer.Await(t, "figures of the first name", measures("first.test", one), p)
		_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
		if says := "msg=\"confined: this process can read and write only"; errno == 0 && !strings.Contains(p.Text(), says) {
			t.Errorf("no %q in the log", says)
		} else if says := "msg=\"not confined: this system has no Landlock"; errno != 0 && !strings.Contains(p.Text(), says) {
			t.Errorf("no %q in the log", says)
		}
		peer.Await(t, "figures of the name in the list", measures("listed.test", one), p)
		list("relisted.test")
		peer.Await(t, "figures of the name in the new list", measures("relisted.test", one), p)
		if kept, err := filepath.Glob(filepath.Join(state, "targets", "*.list")); err != nil || len(kept) == 0 {
			t.Errorf("nothing is in the state: %v, %v", kept, err)
		}
		put(toml("second.test", ""), two)
		if _, err := metrics(two); err != nil {
			t.Errorf("after a new certificate: %v", err)
		}
		p.Signal(syscall.SIGHUP)
		peer.Await(t, "figures of the second name", measures("second.test", two), p)

		put(toml("third.test", fmt.Sprintf("[otel]\nendpoint = \"https://127.0.0.1:4317\"\nenabled = true\nca_file = %q\n", one.file("ca.pem"))), two)
		p.Signal(syscall.SIGHUP)
		if errno == 0 {
			peer.Await(t, "the reason", func() bool {
				return strings.Contains(p.Text(), "the configuration stays as it was") && strings.Contains(p.Text(), "pingtel has confined itself to the folders")
			}, p)
		}
	})
}
