package web

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
)

// FuzzRequest sends requests of any bytes to the handlers. None panics, each has one
// of the answers that there are, of bounded length, no redirection leaves this
// listener, and no echo goes where it must not.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: h\r\nAccept: application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\n\r\n",
		"GET /-/ready HTTP/1.0\r\n\r\n", "HEAD /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n", "GET //x/../metrics HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /probe?target=198.18.0.1&module=icmp&debug=true HTTP/1.1\r\nHost: h\r\nX-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n\r\n",
		"GET /probe?target=%3a%3affff:192.0.2.1 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /probe?target=a.test HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /probe?target=fe80::1%25lo&module=%00 HTTP/1.1\r\nHost: h\r\n\r\n", "POST /probe?target=198.18.0.1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "GET http://192.0.2.1/metrics HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	c, err := config.Parse("f.toml", "[web]\nlisten = \"127.0.0.1:1\"\n"+allowing+"[[targets]]\nhosts = [\"198.18.0.1\"]\n", func(string) (string, bool) { return "", false })
	if err != nil {
		f.Fatal(err)
	}
	env := output.Env{Version: "v1", Log: slog.New(slog.DiscardHandler), Own: func() output.Own { return output.Own{} }}
	store, err := output.NewStore(storeOptions(c), env)
	if err != nil {
		f.Fatal(err)
	}
	fake := &prober{names: map[string][]string{"a.test": {"198.18.0.1"}, "b.test": {"192.0.2.1"}}, result: icmpcore.PingResult{Sent: 1, Received: 1, TTL: 64}}
	o := &Output{config: c.Web, env: env, store: store, own: env.Own, scrapes: make(chan struct{}, maxScrapes)}
	o.probes = newProbes(c, func() monitor.Prober { return fake }, func() float64 { return 0 })
	handler := o.handler()
	known := []int{200, 301, 307, 308, 400, 403, 404, 405, 429, 503}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(raw), 16))
		if err != nil {
			return // net/http answers it
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		io.Copy(io.Discard, r.Body)
		if !slices.Contains(known, w.Code) || w.Body.Len() > 64<<10 {
			t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
		}
		if w.Code == 200 && r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s was answered", r.Method)
		}
		if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
			t.Errorf("redirected to %q", to)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Error("a browser may take it for something else")
		}
		for _, s := range fake.sent {
			if !o.probes.settings.Load().Allows(s.Addr) || isGroup(s.Addr) {
				t.Errorf("an echo to %v", s.Addr)
			}
		}
		fake.sent, fake.options, fake.lookups = nil, nil, nil
	})
}
