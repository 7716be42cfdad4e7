package discovery

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// server is a server whose handler can be changed.
type server struct {
	*httptest.Server
	handler  atomic.Pointer[http.HandlerFunc]
	requests atomic.Int64

	mu   sync.Mutex
	last *http.Request
}

func newServer(t testing.TB, tls bool) *server {
	s := &server{}
	serve := func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.mu.Lock()
		s.last = r
		s.mu.Unlock()
		(*s.handler.Load())(w, r)
	}
	s.answer(http.NotFound)
	if tls {
		s.Server = httptest.NewTLSServer(http.HandlerFunc(serve))
	} else {
		s.Server = httptest.NewServer(http.HandlerFunc(serve))
	}
	t.Cleanup(s.Close)
	return s
}

func (s *server) answer(h http.HandlerFunc) { s.handler.Store(&h) }

// header returns a header of the last request.
func (s *server) header(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		return "no request"
	}
	return s.last.Header.Get(name)
}

// authority writes the certificate of a server to a file.
func authority(t testing.TB, s *server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	write(t, path, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return path
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

// httpConfig is a configuration with a source behind HTTP.
func httpConfig(t testing.TB, url, more string) *config.Config {
	t.Helper()
	c := parse(t, "[[targets]]\nhttp = \""+url+"\"\n"+more)
	c.Sources[0].Refresh = 50 * time.Millisecond // sooner than a file may ask for
	return c
}

// TestHTTP reads a list over TLS with a token, which is read again each time, and asks only
// for what has changed.
func TestHTTP(t *testing.T) {
	srv := newServer(t, true)
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "secret\n")
	unchanged := atomic.Int64{}
	srv.answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		io.WriteString(w, list("a:1", "b:2"))
	})
	s, log := start(t, httpConfig(t, srv.URL+"/sd", "bearer_file = '"+token+"'\nca_file = '"+authority(t, srv)+"'\n"), Options{Version: "v9"})
	if got := inForce(s); got != "a b" {
		t.Fatalf("targets %q, log %s", got, log)
	}
	for name, want := range map[string]string{"Authorization": "Bearer secret", "Accept": "application/json", "User-Agent": "pingtel/v9", "X-Prometheus-Refresh-Interval-Seconds": "0.05"} {
		if got := srv.header(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	before := s.Status()[0].Read
	write(t, token, "Token 0123\n")
	await(t, "another token", func() bool { return srv.header("Authorization") == "Token 0123" && unchanged.Load() > 0 })
	await(t, "a list that was given again", func() bool { return s.Status()[0].Read.After(before) })
	srv.answer(text("[]"))
	awaitHosts(t, s, "")
}

// TestHTTPTrouble has servers that are slow, lie, or send too much: each is an error that says
// what it is, and the list before stays.
func TestHTTPTrouble(t *testing.T) {
	other := newServer(t, false)
	for _, tt := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"refuses", "the server answers 403 Forbidden: want a token that may read it", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }},
		{"not found", "the server answers 404 Not Found: want the address of the list", http.NotFound},
		{"broken", "the server answers 502 Bad Gateway", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }},
		{"not modified, without a question", "the server answers 304", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }},
		{"a page to log in", "want [ at its begin, not '<'", text("<html>log in</html>")},
		{"empty", "is empty", text("")},
		{"cut", "ends too early", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `[{"targets": ["x"]},`)
		}},
		{"slow", "no complete answer within 300ms", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		}},
		{"silent", "no complete answer within 300ms", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		{"redirects in a loop", "redirects more than 5 times", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }},
		{"redirects between two", "redirects more than 5 times", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }},
		{"too large, and says so", "is larger than 64 MiB", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000000000") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t, false)
			other.answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, srv.URL, http.StatusFound) })
			srv.answer(text(list("a", "b")))
			s, log := start(t, httpConfig(t, srv.URL, ""), Options{system: system{lookTime: 300 * time.Millisecond}})
			awaitHosts(t, s, "a b")
			srv.answer(tt.answer)
			awaitError(t, s, tt.want)
			await(t, "a message", func() bool { return strings.Contains(log.String(), tt.want) })
			if got, st := inForce(s), s.Status()[0]; got != "a b" || st.Failures == 0 {
				t.Errorf("targets %q, %+v, log %s", got, st, log)
			}
			srv.answer(text(list("c")))
			awaitHosts(t, s, "c")
			awaitError(t, s, "")
		})
	}
}

// TestHTTPKilled ends the server. Its list stays, and gets older.
func TestHTTPKilled(t *testing.T) {
	srv := newServer(t, false)
	srv.answer(text(list("a")))
	s, log := start(t, httpConfig(t, srv.URL, ""), Options{})
	awaitHosts(t, s, "a")
	srv.CloseClientConnections()
	srv.Listener.Close()
	awaitError(t, s, "connection refused")
	read := s.Status()[0].Read
	await(t, "more failures", func() bool { return s.Status()[0].Failures > 2 })
	if st := s.Status()[0]; inForce(s) != "a" || !st.Read.Equal(read) || strings.Count(log.String(), "cannot be read") != 1 {
		t.Errorf("targets %q, %+v, log %s", inForce(s), st, log)
	}
}

// TestHTTPHuge sends a gigabyte that is a list as long as it lasts, also in one word. pingtel
// stops reading at its limit, and its memory stays within a few times that.
func TestHTTPHuge(t *testing.T) {
	const limit = 2 << 20
	for name, piece := range map[string]string{
		"groups":   `{"targets": [], "labels": {"a": "` + strings.Repeat("x", 100_000) + `"}},` + "\n",
		"one word": strings.Repeat("x", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t, false)
			var sent atomic.Int64
			srv.answer(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "[")
				if name == "one word" {
					io.WriteString(w, `{"targets": ["`)
				}
				for sent.Load() < 1<<30 && r.Context().Err() == nil {
					n, err := io.WriteString(w, piece)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s, _ := start(t, parse(t, "[[targets]]\nhttp = \""+srv.URL+"\"\nrefresh = \"1h\"\n"), Options{system: system{lookTime: time.Hour, limit: limit}})
			awaitError(t, s, "is larger than 2 MiB")
			runtime.ReadMemStats(&after)
			if grown := int64(after.Sys) - int64(before.Sys); sent.Load() > 10*limit || grown > 128<<20 {
				t.Errorf("%d MiB were sent, the memory has grown by %d MiB", sent.Load()>>20, grown>>20)
			}
		})
	}
}

// TestTokenStays follows redirects: the token goes to the server that it is for, and to no
// other one, also not to another port of the same host.
func TestTokenStays(t *testing.T) {
	srv, other := newServer(t, false), newServer(t, false)
	token := filepath.Join(t.TempDir(), "token")
	write(t, token, "secret")
	srv.answer(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/here":
			if got := r.Header.Get("Authorization"); got != "Bearer secret" {
				t.Errorf("the server itself gets %q", got)
			}
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
	})
	other.answer(text(list("a")))
	s, log := start(t, httpConfig(t, srv.URL, "bearer_file = '"+token+"'\n"), Options{})
	awaitHosts(t, s, "a")
	if got := other.header("Authorization"); got != "" {
		t.Errorf("another server gets the token: %q; log %s", got, log)
	}
}

// TestSecrets: files with a token or an authority that are away or wrong are errors, and the
// token is in no message.
func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	srv := newServer(t, false)
	srv.answer(text(list("a")))
	for text, want := range map[string]string{
		"":           "has 0 words: want a token",
		"my own key": "has 3 words: want a token",
		"s\x01cret":  "has characters that no token has",
	} {
		path := filepath.Join(dir, "token")
		write(t, path, text)
		s, log := start(t, httpConfig(t, srv.URL, "bearer_file = '"+path+"'\n"), Options{})
		awaitError(t, s, want)
		if text != "" && strings.Contains(log.String(), text) {
			t.Errorf("the log has the token: %s", log)
		}
		s.Close()
	}
	for file, want := range map[string]string{"bearer_file": "no such file", "ca_file": "no such file"} {
		s, _ := start(t, httpConfig(t, srv.URL, fmt.Sprintf("%s = '%s'\n", file, filepath.Join(dir, "none"))), Options{})
		awaitError(t, s, want)
		s.Close()
	}
	if n := srv.requests.Load(); n > 0 {
		t.Errorf("%d requests without what they need", n)
	}
}
