package web

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/monitor"
)

// dial opens a connection to the listener and writes a text.
func (s *served) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.config.Listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, text) // the listener may have closed it, which the answer shows
	return c
}

// await waits until done is true, for a minute.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

// TestTooMuch: what is longer than a request of a scraper can be is refused, and the
// connection closed; so is everything but GET.
func TestTooMuch(t *testing.T) {
	s := serve(t, allowing)
	s.get(t, "/-/ready", nil)
	long := strings.Repeat("x", 64<<10)
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"a long header":    {"GET /metrics HTTP/1.1\r\nHost: h\r\nX: " + long + "\r\n\r\n", 431},
		"many headers":     {"GET /metrics HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a: b\r\n", 16<<10) + "\r\n", 431},
		"a long path":      {"GET /" + long + " HTTP/1.1\r\nHost: h\r\n\r\n", 431},
		"a long query":     {"GET /probe?target=" + long + " HTTP/1.1\r\nHost: h\r\n\r\n", 431},
		"many parameters":  {"GET /probe?" + strings.Repeat("a&", 7<<10) + "target=192.0.2.1 HTTP/1.1\r\nHost: h\r\n\r\n", 403},
		"a body":           {"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000\r\n\r\n", 200},
		"another method":   {"DELETE /metrics HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		"POST":             {"POST /probe?target=198.18.0.1 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 405},
		"no host":          {"GET /metrics HTTP/1.1\r\n\r\n", 400},
		"no HTTP":          {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400},
		"two lengths":      {"GET /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		"an upgrade":       {"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200},
		"HTTP/2 in clear":  {http2.ClientPreface, 400},
		"another's origin": {"GET http://192.0.2.1/ HTTP/1.1\r\nHost: h\r\n\r\n", 200},
	} {
		answer, err := http.ReadResponse(bufio.NewReader(s.dial(t, tt.request)), nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		answer.Body.Close()
		if answer.StatusCode != tt.status {
			t.Errorf("%s: %d, want %d", name, answer.StatusCode, tt.status)
		}
	}
}

// TestSlowloris: clients that hold every connection with requests that they never
// end lose them after headerTime. Then others are answered, and no goroutine is left.
func TestSlowloris(t *testing.T) {
	s := serve(t, "")
	s.get(t, "/-/ready", nil)
	before := runtime.NumGoroutine()
	var slow []net.Conn
	for i := range maxConnections {
		slow = append(slow, s.dial(t, []string{"", "GET /metrics HTTP/1.1\r\n", "GET /metrics HTTP/1.1\r\nHost: h\r\nX: ", "GET /met"}[i%4]))
	}
	start := time.Now()
	if status, _, _ := s.get(t, "/-/healthy", nil); status != http.StatusOK {
		t.Errorf("health: %d", status)
	}
	t.Logf("answered after %v", time.Since(start))
	for _, c := range slow {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatalf("a slow connection is still open: %v", err)
		}
	}
	await(t, "the end of their goroutines", func() bool { return runtime.NumGoroutine() <= before+20 })
}

// TestRapidReset opens streams of HTTP/2 and resets each at once (CVE-2023-44487).
// The listener answers others meanwhile, and nothing of it stays.
func TestRapidReset(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t)
	for name, text := range map[string]string{"c.pem": cert, "k.pem": key, "web.yml": "tls_server_config: {cert_file: c.pem, key_file: k.pem}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, fmt.Sprintf("config_file = %q\n%s", filepath.Join(dir, "web.yml"), allowing))
	s.awaitTLS(t)
	c, err := tls.Dial("tcp", s.config.Listen, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatal("no HTTP/2: the test has nothing to attack")
	}
	go io.Copy(io.Discard, c) // ends with the connection
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/probe?target=198.18.0.1"}} {
		if err := e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(c, http2.ClientPreface)
	framer := http2.NewFramer(c, nil)
	err = framer.WriteSettings()
	const resets = 20_000
	sent := 0
	for ; sent < resets && err == nil; sent++ { // an error: the listener has had enough
		id := uint32(2*sent + 1)
		if err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true}); err == nil {
			err = framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if sent%5000 == 0 {
			if n := runtime.NumGoroutine(); n > 2000 {
				t.Errorf("%d goroutines", n)
			}
		}
	}
	t.Logf("%d streams reset, then %v", sent, err)
	other := client()
	defer other.CloseIdleConnections()
	r, err := other.Get(strings.Replace(s.url, "http:", "https:", 1) + "/-/healthy")
	if err != nil || r.Body.Close() != nil || r.StatusCode != http.StatusOK || r.ProtoMajor != 2 {
		t.Errorf("another client: %v, %v", r, err)
	}
	c.Close()
	await(t, "the end of the probes", func() bool { return len(s.probes.slots) == 0 })
}

// TestCutShort: a scrape that ends early because its reader is too slow never looks
// complete, also in HTTP/1.0, where the end of the connection is that of the answer.
func TestCutShort(t *testing.T) {
	s := serve(t, "")
	s.get(t, "/-/ready", nil)
	for i := range 2000 {
		target := &monitor.Target{Target: parse(t, "").Targets[0]}
		target.Host = fmt.Sprintf("host%d", i)
		s.Record(target, &icmpcore.PingResult{Sent: 1, Received: 1, RTTs: []time.Duration{1e6}})
	}
	for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t, "GET /metrics "+version+"\r\nHost: h\r\n\r\n")
			r := bufio.NewReader(c)
			if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") { // it takes no more until it is too late
				t.Fatal(line, err)
			}
			await(t, "the scrape is cut short", func() bool { return len(s.scrapes) == 0 })
			answer, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(version+" 200 OK\r\n"), r)), nil)
			if err != nil {
				return // not even a header arrived
			}
			defer answer.Body.Close()
			if b, err := io.ReadAll(answer.Body); err == nil {
				t.Errorf("%d bytes, and no error", len(b))
			}
		})
	}
}

// TestOddRequests: headers that few clients send change nothing but what they ask for.
func TestOddRequests(t *testing.T) {
	s := serve(t, "")
	s.get(t, "/-/ready", nil)
	for _, tt := range []struct {
		request string // of HTTP/1.1, without its last lines
		status  int
		header  map[string]string
	}{
		{"HEAD /metrics", 200, map[string]string{"Content-Type": contentTypes[textFormat], "Content-Encoding": ""}},
		{"GET /metrics\nRange: bytes=0-10", 200, map[string]string{"Content-Range": ""}},
		{"GET /assets/page.js\nRange: bytes=0-10\nAccept-Encoding: gzip", 200, map[string]string{"Content-Range": "", "Content-Encoding": "gzip"}},
		{"GET /metrics\nIf-None-Match: *\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 200, nil},
		{"GET /assets/page.js\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT", 200, nil},
		{"GET /metrics\nAccept: application/json", 200, map[string]string{"Content-Type": contentTypes[textFormat]}},
		{"GET /metrics\nAccept: application/openmetrics-text;q=NaN", 200, map[string]string{"Content-Type": contentTypes[textFormat]}},
		{"GET /metrics\nAccept: application/openmetrics-text;q=-1,text/plain;q=-2", 200, map[string]string{"Content-Type": contentTypes[textFormat]}},
		{"GET /metrics\nAccept: text/plain;q=0.1\nAccept: application/openmetrics-text", 200, map[string]string{"Content-Type": contentTypes[openFormat]}},
		{"GET /metrics\nAccept-Encoding: identity\nAccept-Encoding: gzip", 200, map[string]string{"Content-Encoding": "gzip"}},
		{"GET /metrics\nAccept-Encoding: br\nAccept-Encoding: gzip;q=0", 200, map[string]string{"Content-Encoding": ""}},
		{"GET //192.0.2.1/%2f..", 307, map[string]string{"Location": "/192.0.2.1/%252f.."}}, // of this host
		{"TRACE /metrics", 405, map[string]string{"Allow": "GET, HEAD"}},
		{"GET /metrics\nExpect: 100-continue\nContent-Length: 5", 200, nil},
	} {
		first, rest, _ := strings.Cut(tt.request, "\n")
		method, _, _ := strings.Cut(first, " ")
		text := first + " HTTP/1.1\r\nHost: h\r\n"
		if rest != "" {
			text += strings.ReplaceAll(rest, "\n", "\r\n") + "\r\n"
		}
		answer, err := http.ReadResponse(bufio.NewReader(s.dial(t, text+"\r\n")), &http.Request{Method: method})
		if err != nil {
			t.Errorf("%q: %v", tt.request, err)
			continue
		}
		answer.Body.Close()
		if answer.StatusCode != tt.status {
			t.Errorf("%q: %d, want %d", tt.request, answer.StatusCode, tt.status)
		}
		for name, want := range tt.header {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%q: %s %q, want %q", tt.request, name, got, want)
			}
		}
	}
}
