package targets

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server is an HTTP server whose answers change.
type server struct {
	*httptest.Server
	t       *testing.T
	tls     bool
	address string
	handler atomic.Pointer[http.HandlerFunc]
	last    atomic.Pointer[http.Request] // the newest one
	sent    atomic.Int64                 // bytes of endless answers
}

func newServer(t *testing.T, tls bool, h http.HandlerFunc) *server {
	t.Helper()
	s := &server{t: t, tls: tls, address: "127.0.0.1:0"}
	s.say(h)
	s.start()
	t.Cleanup(func() {
		s.say(failing(http.StatusGone)) // ends what is endless
		s.kill()
	})
	return s
}

func (s *server) say(h http.HandlerFunc) { s.handler.Store(&h) }

// start starts the server, at the address that it had.
func (s *server) start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = l.Addr().String()
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.last.Store(r)
		(*s.handler.Load())(w, r)
	}))
	s.Listener.Close()
	s.Listener = l
	s.Config.ErrorLog = nil
	if s.tls {
		s.StartTLS()
	} else {
		s.Start()
	}
}

// kill closes the server and all of its connections.
func (s *server) kill() {
	s.CloseClientConnections()
	s.Close()
}

// authority writes the server's certificate into a file.
func (s *server) authority(file string) {
	s.t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// list answers with a list, and with 304 to whom knows it.
func list(text string) http.HandlerFunc {
	tag := fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256([]byte(text))))
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, text)
	}
}

// guarded is a handler that wants a token.
func guarded(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h(w, r)
	}
}

const token = "secret-of-the-test"

func failing(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func plain(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
}

// endless answers with a gigabyte, unless the client has enough before.
func (s *server) endless(head, piece string) http.HandlerFunc {
	piece = strings.Repeat(piece, 1+(64<<10)/len(piece))
	return func(w http.ResponseWriter, _ *http.Request) {
		n, err := io.WriteString(w, head)
		for sum := n; err == nil && sum < 1<<30; sum += n {
			n, err = io.WriteString(w, piece)
			s.sent.Add(int64(n))
		}
	}
}

// slow begins its answer, and goes on with a byte a second.
func slow(w http.ResponseWriter, r *http.Request) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	io.WriteString(w, "[")
	for {
		w.(http.Flusher).Flush()
		select {
		case <-tick.C:
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// nodes answers as the API of Kubernetes does, a node a page.
func nodes(hosts ...string) http.HandlerFunc {
	return guarded(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		at, _ := strconv.Atoi(q.Get("continue")) // 0 for the first page
		if r.URL.Path != "/api/v1/nodes" || q.Get("limit") == "" || at >= len(hosts) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		next := ""
		if at+1 < len(hosts) {
			next = strconv.Itoa(at + 1)
		}
		fmt.Fprintf(w, `{"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": %q}, "items": [{"metadata": {"name": "n%d"},
			"status": {"addresses": [{"type": "Hostname", "address": "n%[2]d"}, {"type": "InternalIP", "address": %[3]q}]}}]}`, next, at, hosts[at])
	})
}

// account makes the folder of a ServiceAccount.
func (s *server) account(dir string) {
	s.t.Helper()
	s.authority(filepath.Join(dir, "ca.crt"))
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
