package web

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
)

// prober is a Pinger under test. It resolves names by its table, each answer once
// and the last one for ever, and gives every series the result that it has.
type prober struct {
	names map[string][]string

	mu      sync.Mutex
	result  icmpcore.PingResult
	hold    bool // series have no result until they are cancelled
	fail    error
	lookups []string
	sent    []icmpcore.Target
	options []icmpcore.Options
}

func (p *prober) HasRoute(context.Context, netip.Addr) bool { return true }

func (p *prober) Resolve(_ context.Context, host string, f icmpcore.Family) (icmpcore.Target, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, err := netip.ParseAddr(host); err == nil {
		return icmpcore.Target{Host: host, Addr: a.Unmap()}, nil
	}
	p.lookups = append(p.lookups, host)
	answers := p.names[host]
	if len(answers) == 0 {
		return icmpcore.Target{Host: host}, &icmpcore.ResolveError{Host: host, Family: f, Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	}
	if len(answers) > 1 {
		p.names[host] = answers[1:]
	}
	return icmpcore.Target{Host: host, Addr: netip.MustParseAddr(answers[0])}, nil
}

func (p *prober) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return icmpcore.Run{}, p.fail
	}
	p.sent, p.options = append(p.sent, t), append(p.options, o)
	r := p.result
	r.Host, r.Addr = t.Host, t.Addr
	if !p.hold {
		done(r)
	} else {
		time.AfterFunc(time.Second, func() { done(r) })
	}
	return icmpcore.Run{}, nil
}

const allowing = "[web.probe]\nallow = [\"198.18.0.0/16\", \"2001:db8::/32\", \"127.0.0.0/8\"]\n"

// probing returns /probe of a file, with a Pinger under test.
func probing(t *testing.T, text string) (*probes, *prober) {
	t.Helper()
	p := &prober{result: icmpcore.PingResult{Sent: 2, Received: 2, Mean: 1500 * time.Microsecond, Min: time.Millisecond, Max: 2 * time.Millisecond,
		Median: 1500 * time.Microsecond, RTTs: []time.Duration{1e6, 2e6}, Jitter: 700 * time.Microsecond, IPDV: time.Millisecond, IPDVPairs: 1, TTL: 60, Hops: 5}}
	return newProbes(parse(t, text), func() monitor.Prober { return p }, func() float64 { return 0.5 }), p
}

// ask returns the answer to a request of /probe.
func ask(p http.Handler, query string, header ...string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, "/probe?"+query, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// TestProbe: the figures of one series, by blackbox_exporter's names and by ours, as
// Prometheus reads them.
func TestProbe(t *testing.T) {
	p, fake := probing(t, allowing+"[web.probe.modules.six]\nfamily = \"ipv6\"\ncount = 1\n")
	fake.names = map[string][]string{"a.test": {"2001:db8::7"}}
	fake.result.Sent, fake.result.Loss, fake.result.Duplicates, fake.result.Late = 5, 60, 1, 1
	fake.result.Errors = []icmpcore.EchoError{{Seq: 3, Kind: icmpcore.DestinationUnreachable, Message: `host "x" unreachable`}}
	status, text := ask(p, "module=six&target=a.test")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if status != 200 || err != nil {
		t.Fatal(status, err, text)
	}
	got := make(map[string]float64)
	for name, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				name += "," + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue()
			name = f.GetName()
		}
	}
	for name, want := range map[string]float64{
		"probe_success": 1, "probe_icmp_duration_seconds,rtt": 0.0015, "probe_icmp_reply_hop_limit": 60, "probe_ip_protocol": 6,
		"ping_probe_requests": 5, "ping_probe_replies": 2, "ping_probe_loss_ratio": 0.6, "ping_probe_duplicates": 1,
		"ping_probe_rtt_seconds,min": 0.001, "ping_probe_rtt_seconds,mean": 0.0015, "ping_probe_rtt_seconds,median": 0.0015, "ping_probe_rtt_seconds,max": 0.002,
		"ping_probe_jitter_seconds": 0.0007, "ping_probe_ipdv_seconds": 0.001, "ping_probe_hops": 5,
		`ping_probe_errors,destination_unreachable,host "x" unreachable`: 1, "ping_probe_errors,late,": 1, "ping_probe_errors,timeout,": 1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, %t, want %v", name, v, ok, want)
		}
	}
	for _, name := range []string{"probe_duration_seconds", "probe_dns_lookup_time_seconds", "probe_ip_addr_hash", "probe_icmp_duration_seconds,resolve", "probe_icmp_duration_seconds,setup"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	if len(fake.sent) != 1 || fake.sent[0].Addr.String() != "2001:db8::7" || fake.options[0].Family != icmpcore.FamilyIPv6 || fake.options[0].Count != 1 {
		t.Errorf("sent %v with %+v", fake.sent, fake.options)
	}
	if _, text = ask(p, "target=198.18.0.1&debug=true"); !strings.Contains(text, "# target \"198.18.0.1\", address 198.18.0.1, module \"icmp\"\n") || !strings.Contains(text, "probe_success 1\n") {
		t.Errorf("debug: %s", text)
	}
}

// TestProbeFails: what fails is a figure, and what was not measured is left out.
func TestProbeFails(t *testing.T) {
	p, fake := probing(t, allowing)
	for _, tt := range []struct {
		name, target string
		result       icmpcore.PingResult
		fail         error
		errors       string
	}{
		{"no name", "b.test", icmpcore.PingResult{}, nil, `error_type="resolve",reason="no such host"`},
		{"no reply", "198.18.0.1", icmpcore.PingResult{Sent: 2, Loss: 100}, nil, `error_type="timeout",reason=""`},
		{"no route", "198.18.0.1", icmpcore.PingResult{Err: &icmpcore.SendError{Err: fmt.Errorf("no route")}}, nil, `error_type="send",reason="no route"`},
		{"no socket", "2001:db8::1", icmpcore.PingResult{}, fmt.Errorf("no IPv6"), `error_type="send",reason="no IPv6"`},
		{"too short a time", "198.18.0.1", icmpcore.PingResult{Err: context.Canceled}, nil, `error_type="timeout",reason="the scrape's timeout has passed"`},
	} {
		fake.result, fake.fail = tt.result, tt.fail
		status, text := ask(p, "target="+tt.target)
		if status != 200 || !strings.Contains(text, "\nprobe_success 0\n") || !strings.Contains(text, "ping_probe_errors{"+tt.errors+"} ") {
			t.Errorf("%s: %d %s", tt.name, status, text)
		}
		for _, absent := range []string{"hop_limit", `phase="rtt"`, "rtt_seconds", "jitter", "hops"} {
			if strings.Contains(text, absent) {
				t.Errorf("%s: there is %s: %s", tt.name, absent, text)
			}
		}
		if lost := strings.Contains(text, "\nping_probe_loss_ratio 1\n"); lost != (tt.result.Sent > 0) {
			t.Errorf("%s: loss: %t", tt.name, lost)
		}
	}
}

// TestProbeRefuses: nothing is sent to an address that the file does not list,
// however a request writes it, and nothing else of a request changes what is sent.
func TestProbeRefuses(t *testing.T) {
	p, fake := probing(t, allowing)
	fake.names = map[string][]string{
		"inside.test": {"198.18.0.9"}, "outside.test": {"192.0.2.1"}, "group.test": {"224.0.0.1"}, "linked.test": {"fe80::1%lo"},
		"2130706433": {"192.0.2.1"}, "0306.0022.0.1": {"192.0.2.1"}, "0x7f000001": {"192.0.2.1"}, "127.1": {"192.0.2.1"},
	}
	for _, tt := range []struct {
		query  string
		status int
		text   string
	}{
		{"", 400, "the parameter target is missing"},
		{"target=", 400, "the parameter target is missing"},
		{"target=198.18.0.1&module=http_2xx", 400, `unknown module "http_2xx"`},
		{"target=198.18.0.1&module=" + strings.Repeat("m", 5000), 400, "unknown module"},
		{"target=%zz", 400, "the query cannot be read"},
		{"a;b", 400, "the query cannot be read"},
		{"target=http://198.18.0.1/", 400, "target"},
		{"target=198.18.0.1:80", 400, "target"},
		{"target=198.18.0.0/24", 400, "has many hosts"},
		{"target=198.18.0.1-9", 400, "has many hosts"},
		{"target=" + strings.Repeat("x.", 3000), 400, "target"},
		{"target=198.19.0.1", 403, "198.19.0.1 is not in web.probe.allow"},
		{"target=::ffff:192.0.2.1", 403, "not in web.probe.allow"},
		{"target=::ffff:198.18.0.1", 200, ""},
		{"target=[2001:db8::1]", 200, ""},
		{"target=::", 403, "is not the address of one host"},
		{"target=64:ff9b::c612:1", 403, "not in web.probe.allow"}, // 198.18.0.1 by NAT64
		{"target=2002:c612:1::1", 403, "not in web.probe.allow"},  // and by 6to4
		{"target=" + url.QueryEscape("2001:db8::1%lo"), 403, "has a zone"},
		{"target=" + url.QueryEscape("fe80::1%lo"), 403, "has a zone"},
		{"target=127.255.255.255", 403, "is not the address of one host"},
		{"target=outside.test", 403, "the address of outside.test is not in web.probe.allow"},
		{"target=group.test", 403, "the address of group.test is not the address of one host"},
		{"target=linked.test", 403, "the address of linked.test has a zone"},
		{"target=0306.0022.0.1", 0, ""},
		{"target=2130706433", 0, ""},
		{"target=0x7f000001", 0, ""},
		{"target=127.1", 0, ""},
		{"target=inside.test&target=outside.test", 200, ""},
		{"target=inside.test&source=127.0.0.1&interface=lo&ttl=1&size=65507&count=10000&mark=1&hostname=x", 200, ""},
	} {
		p.reload(parse(t, allowing)) // with a full limiter
		before := len(fake.sent)
		status, text := ask(p, tt.query)
		sent := fake.sent[before:]
		switch {
		case tt.status == 0 && (status == 400 || status == 403) && len(sent) == 0:
		case status != tt.status || !strings.Contains(text, tt.text) || len(text) > 4096:
			t.Errorf("%.80q: %d %.200q, want %d %q", tt.query, status, text, tt.status, tt.text)
		case (status == 200) != (len(sent) == 1):
			t.Errorf("%.80q: sent to %v", tt.query, sent)
		}
		for _, s := range sent {
			if !p.settings.Load().Allows(s.Addr) {
				t.Errorf("%.80q: sent to %v", tt.query, s.Addr)
			}
		}
		if strings.Contains(text, "192.0.2.1") && strings.Contains(tt.query, ".test") {
			t.Errorf("%.80q: the answer says what the resolver said: %s", tt.query, text)
		}
	}
	for _, o := range fake.options {
		if o.Source.IsValid() || o.Interface != "" || o.TTL != 0 || o.Count != config.DefaultCount || o.Size != icmpcore.DefaultSize || o.Mark != 0 {
			t.Errorf("a request has changed the options: %+v", o)
		}
	}
}

// TestRebinding: a resolver that answers with an allowed address first, and with
// another one after that, does not get an echo to the second.
func TestRebinding(t *testing.T) {
	p, fake := probing(t, allowing)
	fake.names = map[string][]string{"rebind.test": {"198.18.0.9", "192.0.2.1"}}
	if status, text := ask(p, "target=rebind.test"); status != 200 || len(fake.lookups) != 1 || len(fake.sent) != 1 || fake.sent[0].Addr.String() != "198.18.0.9" {
		t.Errorf("%d %s; looked up %v, sent to %v", status, text, fake.lookups, fake.sent)
	}
	if status, _ := ask(p, "target=rebind.test"); status != 403 || len(fake.sent) != 1 {
		t.Errorf("after that: %d, sent to %v", status, fake.sent)
	}
}

// TestProbeLimits: so many probes at once and no more, and echoes only as far as the
// schedule leaves some.
func TestProbeLimits(t *testing.T) {
	p, fake := probing(t, "[agent]\nmax_rate = 20\ninterval = \"10s\"\n"+allowing) // one target with 5 echoes in 10 s
	synctest.Test(t, func(t *testing.T) {
		fake.hold = true
		p.reload(parse(t, allowing))
		var all sync.WaitGroup
		for range maxProbes {
			all.Go(func() {
				if status, text := ask(p, "target=198.18.0.1"); status != 200 {
					t.Errorf("%d %s", status, text)
				}
			})
		}
		synctest.Wait()
		if status, text := ask(p, "target=198.18.0.1"); status != 503 || !strings.Contains(text, "256 probes are under way already") {
			t.Errorf("one more: %d %s", status, text)
		}
		all.Wait()
		if len(p.slots) != 0 {
			t.Errorf("%d probes are left", len(p.slots))
		}
	})
	fake.hold = false
	synctest.Test(t, func(t *testing.T) {
		p.reload(parse(t, "[agent]\nmax_rate = 20\ninterval = \"10s\"\n"+allowing))
		count := func(seconds int) (probed int) {
			for range seconds * 100 {
				time.Sleep(10 * time.Millisecond)
				switch status, text := ask(p, "target=198.18.0.1"); status {
				case 200:
					probed++
				case 429:
					if !strings.Contains(text, "max_rate is used up") {
						t.Error(text)
					}
				default:
					t.Error(status, text)
				}
			}
			return probed
		}
		if n := count(100); n < 385 || n > 395 { // 19.5 echoes a second are left, and 19 at the start
			t.Errorf("%d probes of 5 echoes in 100 s", n)
		}
		p.planned = func() float64 { return 20 } // all for the file, after a source has got more targets
		if n := count(10); n != 0 {
			t.Errorf("%d probes beside a schedule that needs all", n)
		}
	})
}

// TestProbeTime: a probe is over before its scraper gives up, and as much of the
// series as fits is whole.
func TestProbeTime(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": probeTime, "0": probeTime, "10": 9500 * time.Millisecond, "0.5": 250 * time.Millisecond, "1": 500 * time.Millisecond,
		"120": probeTime, "+Inf": probeTime, "1e308": probeTime,
	} {
		if got, err := budgetOf(header); got != want || err != nil {
			t.Errorf("%q: %v, %v, want %v", header, got, err, want)
		}
	}
	for _, header := range []string{"x", "-1", "NaN", "-Inf", "1s"} {
		if _, err := budgetOf(header); err == nil {
			t.Errorf("%q was taken", header)
		}
	}
	o := icmpcore.Options{Count: 5, Interval: 200 * time.Millisecond, Timeout: time.Second}
	for budget, want := range map[time.Duration][2]int{ // to count and timeout in ms
		9500 * time.Millisecond: {5, 1000}, 1900 * time.Millisecond: {5, 1000}, 1600 * time.Millisecond: {3, 1000}, time.Second: {1, 950},
		20 * time.Millisecond: {1, 19}, -time.Second: {1, 1},
	} {
		if got := fit(o, budget, 10000); got.Count != want[0] || got.Timeout != time.Duration(want[1])*time.Millisecond {
			t.Errorf("%v: %d echoes, timeout %v, want %v", budget, got.Count, got.Timeout, want)
		}
	}
	if got := fit(o, 5*time.Second, 1); got.Count != 4 { // a second apart
		t.Errorf("at one echo a second: %d", got.Count)
	}
	if got := fit(icmpcore.Options{Count: 10000, Interval: time.Millisecond, Timeout: time.Hour}, probeTime, -1); config.SeriesTime(got, -1) > probeTime || got.Count != 1 {
		t.Errorf("%+v", got)
	}
}

// TestProbeReload: a reload turns /probe on and off, and changes its modules.
func TestProbeReload(t *testing.T) {
	p, _ := probing(t, "")
	if status, text := ask(p, "target=198.18.0.1"); status != 404 || !strings.Contains(text, "web.probe.allow is empty") {
		t.Errorf("off: %d %s", status, text)
	}
	p.reload(parse(t, allowing+"[web.probe.modules.one]\ncount = 1\n"))
	if status, _ := ask(p, "target=198.18.0.1&module=one"); status != 200 {
		t.Errorf("on: %d", status)
	}
	p.reload(parse(t, ""))
	if status, _ := ask(p, "target=198.18.0.1&module=one"); status != 404 {
		t.Errorf("off again: %d", status)
	}
	p.reload(parse(t, allowing))
	p.prober = func() monitor.Prober { return nil }
	if status, text := ask(p, "target=198.18.0.1"); status != 503 || text != "not running\n" {
		t.Errorf("not running: %d %s", status, text)
	}
}

// TestProbeServed: the listener has /probe, says what it is and what it has done, and
// warns of who can use it.
func TestProbeServed(t *testing.T) {
	s := serve(t, allowing)
	if status, _, text := s.get(t, "/probe?target=198.18.0.1", nil); status != 200 || !strings.Contains(text, "probe_success 1\n") {
		t.Errorf("%d %s", status, text)
	}
	if _, _, text := s.get(t, "/metrics", nil); !strings.Contains(text, "\npingtel_probes_total 1\n") || !strings.Contains(text, "\npingtel_probes_refused_total 0\n") {
		t.Error(text)
	}
	if got, want := s.String(), "the page (history in memory, 64 MiB at most), /metrics and /probe on "+s.url; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	s.config.Listen = ":9473"
	s.Reload(parse(t, "[web]\nlisten = \":9473\"\n"+allowing))
	if strings.Contains(s.log.String(), "can make pingtel ping") {
		t.Error("the same warning again")
	}
	s.Reload(parse(t, "[web]\nlisten = \":9473\"\n[web.probe]\nallow = [\"0.0.0.0/0\"]\n"))
	if !strings.Contains(s.log.String(), "can make pingtel ping these addresses") || !strings.Contains(s.log.String(), "allow=0.0.0.0/0") {
		t.Error(s.log.String())
	}
}
