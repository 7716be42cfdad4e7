package web

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/internal/output"
)

// TestAsk asks a process that is ready, one that is not, one that wants a password,
// one with TLS, and none.
func TestAsk(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ask := func(s *served, more string) (bool, string) {
		t.Helper()
		listen := strings.TrimPrefix(s.url, "http://")
		_, port, _ := strings.Cut(listen, ":")
		for _, l := range []string{"0.0.0.0:" + port, ":" + port, listen} {
			ready, text, err := Ask(t.Context(), parse(t, fmt.Sprintf("[web]\nlisten = %q\n%s", l, more)))
			if l == listen {
				if err != nil {
					t.Error(err)
				}
				return ready, text
			}
			if err != nil {
				t.Errorf("%s: %v", l, err)
			}
		}
		panic("unreachable")
	}
	s := serve(t, "")
	s.get(t, "/-/ready", nil) // waits until it runs
	if ready, text := ask(s, ""); !ready || text != "ready" {
		t.Errorf("%t, %q", ready, text)
	}
	s.mu.Lock()
	s.own = output.Own{}
	s.mu.Unlock()
	if ready, text := ask(s, ""); ready || text != "no targets" {
		t.Errorf("without targets: %t, %q", ready, text)
	}
	users := fmt.Sprintf("config_file = %q\n", write("users.yml", "basic_auth_users:\n  ping: $2y$05$WpGJTZXtl2T5B6oGLeoeKOcqXl3MOV3ePKVKH5ibGEzqMBU7LONgC\n"))
	s = serve(t, users)
	s.get(t, "/-/ready", nil)
	if ready, text := ask(s, users); !ready || text != "it answers, and wants a password" {
		t.Errorf("with passwords: %t, %q", ready, text)
	}
	cert, key := certificate(t)
	encrypted := fmt.Sprintf("config_file = %q\n", write("tls.yml", fmt.Sprintf("tls_server_config: {cert_file: %s, key_file: %s}\n", write("c.pem", cert), write("k.pem", key))))
	s = serve(t, encrypted)
	s.awaitTLS(t)
	if ready, text := ask(s, encrypted); !ready || text != "ready" {
		t.Errorf("with TLS: %t, %q", ready, text)
	}
	if _, _, err := Ask(t.Context(), parse(t, "")); !errors.Is(err, ErrNoListener) {
		t.Errorf("without a listener: %v", err)
	}
	if _, _, err := Ask(t.Context(), parse(t, fmt.Sprintf("[web]\nlisten = %q\n", freePort(t)))); err == nil {
		t.Error("an answer where nobody listens")
	}
}
