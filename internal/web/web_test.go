package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/fleet"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/testlog"
)

// served is a listener under test.
type served struct {
	*Output
	url string
	log testlog.Buffer
	mu  sync.Mutex
	own output.Own
}

// freePort returns an address of this machine where nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("pingtel.toml", text+"\n[[targets]]\nhosts = [\"198.18.0.1\"]\ntags = { site = \"lab\" }\n", func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a listener until the test ends.
func serve(t *testing.T, more string) *served {
	t.Helper()
	s := &served{own: output.Own{Schedule: monitor.Stats{Targets: 1}}}
	c := parse(t, fmt.Sprintf("[web]\nlisten = %q\n%s", freePort(t), more))
	env := output.Env{Version: "v1", Log: slog.New(slog.NewTextHandler(&s.log, nil)), Own: func() output.Own {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.own
	}, Prober: func() monitor.Prober {
		return &prober{result: icmpcore.PingResult{Sent: 1, Received: 1, TTL: 64}}
	}, Planned: func() float64 { return 0.5 }}
	if err := Check(c, env); err != nil {
		t.Fatal(err)
	}
	o, err := Open(c, env)
	if err != nil {
		t.Fatal(err)
	}
	s.Output, s.url = o.(*Output), "http://"+c.Web.Listen
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, o.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	target := &monitor.Target{Target: c.Targets[0]}
	o.Record(target, &icmpcore.PingResult{Addr: netip.MustParseAddr("198.18.0.1"), Sent: 2, Received: 2, RTTs: []time.Duration{1e6, 2e6}, TTL: 60, Hops: 5})
	return s
}

// get returns an answer, once there is one.
func (s *served) get(t *testing.T, path string, header http.Header) (int, http.Header, string) {
	t.Helper()
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode == http.StatusServiceUnavailable && string(b) == "not running\n" {
			continue // Run has not begun
		}
		return answer.StatusCode, answer.Header, string(b)
	}
}

// prometheusAccepts is what Prometheus 3 sends without native histograms.
const prometheusAccepts = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"

func TestMetrics(t *testing.T) {
	s := serve(t, "")
	status, header, text := s.get(t, "/metrics", nil)
	if status != 200 || header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("status %d, %s", status, header.Get("Content-Type"))
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"ping_requests_total": 2, "ping_resolved": 1, "pingtel_build_info": 1, "ping_target_count": 1} {
		f := families[name]
		if f == nil || len(f.Metric) != 1 || f.Metric[0].GetCounter().GetValue()+f.Metric[0].GetGauge().GetValue()+f.Metric[0].GetUntyped().GetValue() != want {
			t.Errorf("%s is %v, want %v", name, f, want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	for _, p := range problems {
		t.Errorf("promlint: %v", p)
	}
	if err != nil {
		t.Error(err)
	}
	_, header, open := s.get(t, "/metrics", http.Header{"Accept": {prometheusAccepts}})
	if header.Get("Content-Type") != "application/openmetrics-text; version=1.0.0; charset=utf-8" || !strings.HasSuffix(open, "\n# EOF\n") ||
		!strings.Contains(open, "# TYPE pingtel_echo_requests counter\npingtel_echo_requests_total 0.0\n") {
		t.Errorf("OpenMetrics: %s, %s", header.Get("Content-Type"), open)
	}
}

// TestProtobuf: who asks for protobuf gets the families of the text. A native
// histogram is among them if the file wants an exponential one.
func TestProtobuf(t *testing.T) {
	for kind, native := range map[string]bool{"explicit": false, "exponential": true} {
		s := serve(t, fmt.Sprintf("[otel]\nhistogram = %q\n", kind))
		_, header, body := s.get(t, "/metrics", http.Header{"Accept": {nativeAccepts}})
		if got := header.Get("Content-Type"); got != "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited" {
			t.Errorf("Content-Type %q", got)
		}
		names := make(map[string]bool)
		for r := bufio.NewReader(strings.NewReader(body)); ; {
			f := new(dto.MetricFamily)
			err := protodelim.UnmarshalFrom(r, f)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			names[f.GetName()] = true
			if f.GetName() != "ping_rtt_seconds" {
				continue
			}
			h := f.Metric[0].Histogram
			if h.GetSampleCount() != 2 || len(h.Bucket) == 0 || (len(h.PositiveSpan) > 0) != native {
				t.Errorf("%s: %v", kind, h)
			}
		}
		_, _, text := s.get(t, "/metrics", nil)
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range families {
			if !names[name] && len(f.Metric) > 0 {
				t.Errorf("no %s in protobuf", name)
			}
		}
	}
}

func TestGzip(t *testing.T) {
	s := serve(t, "")
	_, header, packed := s.get(t, "/metrics", http.Header{"Accept-Encoding": {"gzip"}})
	z, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil || header.Get("Content-Encoding") != "gzip" {
		t.Fatal(err, header)
	}
	text, err := io.ReadAll(z)
	if err != nil || !bytes.Contains(text, []byte("\nping_up{")) {
		t.Errorf("%v: %s", err, text)
	}
}

// nativeAccepts is what Prometheus 3 sends with native histograms.
const nativeAccepts = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," + prometheusAccepts

// TestAccept: which format an Accept header gets.
func TestAccept(t *testing.T) {
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="
	for accept, want := range map[string]format{
		"": textFormat, "*/*": textFormat, "text/plain": textFormat, prometheusAccepts: openFormat, nativeAccepts: protobufFormat,
		"application/openmetrics-text":                          openFormat,
		"application/openmetrics-text;version=2.0.0":            textFormat,
		"application/openmetrics-text;q=0":                      textFormat,
		"application/openmetrics-text;q=0.1,text/plain;q=0.2":   textFormat,
		"application/openmetrics-text;q=x,;;,text/plain":        textFormat,
		"text/html,application/xhtml+xml,application/xml;q=0.9": textFormat,
		protobuf + "delimited":                                  protobufFormat,
		protobuf + "text":                                       textFormat,
		protobuf + "delimited;q=0":                              textFormat,
		protobuf + "delimited;q=0.1,text/plain;q=0.2":           textFormat,
		"application/vnd.google.protobuf":                       textFormat,
	} {
		if got := formatOf(accept); got != want {
			t.Errorf("formatOf(%q) = %d", accept, got)
		}
	}
	for header, want := range map[string]bool{"": false, "gzip": true, "deflate, gzip;q=1.0": true, "gzip;q=0": false, "gzip; q=0.00": false, "gzip;q=x": false, "br": false} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("acceptsGzip(%q) = %t", header, got)
		}
	}
}

func TestHealth(t *testing.T) {
	s := serve(t, "metrics = false\n")
	for path, want := range map[string]int{"/-/healthy": 200, "/-/ready": 200, "/metrics": 404, "/": 200, "/other": 404} {
		if status, header, text := s.get(t, path, nil); status != want || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, want %d: %s", path, status, want, text)
		}
	}
	for _, tt := range []struct {
		own  output.Own
		want string
	}{
		{output.Own{Schedule: monitor.Stats{Targets: 1}, Fleet: &fleet.Stats{Targets: 1, Waiting: true}}, "the other probers of the fleet are not known yet\n"},
		{output.Own{}, "no targets\n"},
		{output.Own{Fleet: &fleet.Stats{}}, "no targets\n"},      // the list is not there yet
		{output.Own{Fleet: &fleet.Stats{Targets: 3}}, "ready\n"}, // others measure them
		{output.Own{Schedule: monitor.Stats{Targets: 1}, Behind: 11 * time.Second}, "the schedule is 11s behind\n"},
	} {
		s.mu.Lock()
		s.own = tt.own
		s.mu.Unlock()
		if status, _, text := s.get(t, "/-/ready", nil); text != tt.want || (status == 200) != (tt.want == "ready\n") {
			t.Errorf("%+v: status %d, %q, want %q", tt.own, status, text, tt.want)
		}
	}
	s.ending()
	if w := answerOf(s, "/-/ready"); w.status != 503 || w.body.String() != "not running\n" {
		t.Errorf("at the end: %d %q", w.status, w.body.String())
	}
	r, err := http.Post(s.url+"/-/ready", "text/plain", nil)
	if err == nil {
		r.Body.Close()
		t.Error("a request after the end was answered")
	}
}

// recorder is a ResponseWriter that may block.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	open   chan struct{} // nil: it never blocks
	begun  chan struct{} // gets one when a write has begun
}

func (w *recorder) Header() http.Header    { return w.header }
func (w *recorder) WriteHeader(status int) { w.status = status }

func (w *recorder) Write(b []byte) (int, error) {
	if w.open != nil {
		select {
		case w.begun <- struct{}{}:
		default:
		}
		<-w.open
	}
	return w.body.Write(b)
}

func answerOf(s *served, path string) *recorder {
	w := &recorder{header: http.Header{}, status: 200}
	r, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		panic(err)
	}
	s.handler().ServeHTTP(w, r)
	return w
}

// TestSlowReaders: three scrapes that nobody reads keep a fourth from being
// answered, and nothing else; when they are over, scrapes are answered again.
func TestSlowReaders(t *testing.T) {
	s := serve(t, "")
	open := make(chan struct{})
	var slow sync.WaitGroup
	for range maxScrapes {
		w := &recorder{header: http.Header{}, open: open, begun: make(chan struct{}, 1)}
		slow.Go(func() {
			r, err := http.NewRequest(http.MethodGet, "/metrics", nil)
			if err != nil {
				panic(err)
			}
			s.handler().ServeHTTP(w, r)
		})
		<-w.begun
	}
	status, header, _ := s.get(t, "/metrics", nil)
	if status != 503 || header.Get("Retry-After") != "1" {
		t.Errorf("a fourth scrape: %d, %v", status, header)
	}
	if status, _, _ := s.get(t, "/-/healthy", nil); status != 200 {
		t.Errorf("health: %d", status)
	}
	s.Record(&monitor.Target{Target: parse(t, "").Targets[0]}, &icmpcore.PingResult{Sent: 1, Err: io.EOF}) // does not wait
	close(open)
	slow.Wait()
	if status, _, _ := s.get(t, "/metrics", nil); status != 200 {
		t.Errorf("after them: %d", status)
	}
}

// deadlines is a ResponseWriter whose reader takes its time, and which notes how
// long each write may last.
type deadlines struct {
	recorder
	takes time.Duration
	left  []time.Duration
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.left = append(d.left, time.Until(at))
	return nil
}

func (d *deadlines) Write(b []byte) (int, error) {
	time.Sleep(d.takes)
	return d.recorder.Write(b)
}

// TestPaced: a reader that takes nothing loses its place long before an answer has
// to be over. What it takes to make the answer is not the reader's time.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deadlines{takes: 500 * time.Millisecond}
		p := &paced{ResponseWriter: w, control: http.NewResponseController(w)}
		for _, n := range []int{0, minRate, minRate, 100 * minRate} {
			time.Sleep(time.Minute) // it is made
			if _, err := p.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		want := []time.Duration{freeTime, freeTime + time.Second/2, freeTime + time.Second, writeTime - 1500*time.Millisecond}
		if d := cmp.Diff(want, w.left); d != "" || w.body.Len() != 102*minRate {
			t.Errorf("%d bytes; time for each write (-want +got):\n%s", w.body.Len(), d)
		}
	})
}

// TestPasswords: the web configuration file of Prometheus' exporters is in force,
// and one that is wrong is refused before anything starts.
func TestPasswords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.yml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("basic_auth_users:\n  ping: $2y$05$WpGJTZXtl2T5B6oGLeoeKOcqXl3MOV3ePKVKH5ibGEzqMBU7LONgC\n")
	s := serve(t, fmt.Sprintf("config_file = %q\n", file))
	if status, _, _ := s.get(t, "/metrics", nil); status != 401 {
		t.Errorf("without a password: %d", status)
	}
	write("bogus: 1\n")
	err := Check(parse(t, fmt.Sprintf("[web]\nlisten = \":9\"\nconfig_file = %q\n", file)), output.Env{})
	if err == nil || !strings.Contains(err.Error(), "web.config_file "+file) {
		t.Errorf("Check = %v", err)
	}
}

// TestAlike: targets that would be the same series are refused before anything
// starts, and a tag that cannot be a label is named.
func TestAlike(t *testing.T) {
	twice := parse(t, "[web]\nlisten = \":9\"\n[[targets]]\nhosts = [\"198.18.0.1\"]\nsize = 99\ntags = { site = \"lab\" }\n")
	if err := Check(twice, output.Env{}); err == nil || !strings.Contains(err.Error(), "has the same attributes as in line") {
		t.Errorf("Check = %v", err)
	}
	twice.Web.Metrics = false
	if err := Check(twice, output.Env{}); err != nil {
		t.Errorf("without /metrics: %v", err)
	}
	if s := serve(t, "[defaults]\ntags = { le = \"x\" }\n"); !strings.Contains(s.log.String(), "le") {
		t.Errorf("log %q", s.log.String())
	}
}

// TestListen: a port in use is named, and so is a listener that everybody reaches.
func TestListen(t *testing.T) {
	s := serve(t, "")
	if s.String() != "the page (history in memory, 64 MiB at most), /metrics on "+s.url {
		t.Errorf("String() = %q", s.String())
	}
	env := output.Env{Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	c := parse(t, fmt.Sprintf("[web]\nlisten = %q\n", strings.TrimPrefix(s.url, "http://")))
	if _, err := Open(c, env); err == nil || !strings.Contains(err.Error(), "web.listen: listen tcp 127.0.0.1:") {
		t.Errorf("Open = %v", err)
	}
	_, port, err := net.SplitHostPort(freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	o, err := Open(parse(t, fmt.Sprintf("[web]\nlisten = \":%s\"\n", port)), env)
	if err != nil {
		t.Fatal(err)
	}
	o.Close(t.Context())
	if log := s.log.String(); !strings.Contains(log, "everybody who reaches the listener can read all figures") {
		t.Errorf("log %q", log)
	}
	s.Reload(parse(t, "[web]\nmetrics = false\nconfig_file = \"x\"\n"))
	if log := s.log.String(); !strings.Contains(log, "restart pingtel to change web.listen, web.config_file, web.metrics") {
		t.Errorf("log %q", log)
	}
}

// TestConnections: more connections than are allowed wait until one ends.
func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := &limitListener{Listener: l, free: make(chan struct{}, 1), closed: make(chan struct{})}
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := limited.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second connection was accepted")
	default:
	}
	first.Close()
	first.Close() // counts once
	second := <-accepted
	limited.Close()
	if c, ok := <-accepted; ok {
		t.Errorf("accepted %v after the end", c)
	}
	second.Close()
}

// TestIdleConnections: a client that leaves connections open does not keep others away.
func TestIdleConnections(t *testing.T) {
	s := serve(t, "")
	for range maxConnections {
		c, err := net.Dial("tcp", s.config.Listen)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close() // the connection stays open
	}
	if status, _, _ := s.get(t, "/-/healthy", nil); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}
