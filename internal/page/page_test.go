package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/history"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/output"
	"github.com/pingtel/pingtel/internal/path"
)

const hostile = `</script><script>alert(1)</script>"><img src=x onerror=alert(1)>` + "'&\u202e\u2028\x00\a{{.}}"

// rig is a page with targets.
type rig struct {
	*Page
	mux     *http.ServeMux
	targets []*monitor.Target
}

func newRig(t *testing.T, targets ...config.Target) *rig {
	t.Helper()
	c := &config.Config{Agent: config.Agent{Interval: 10 * time.Second}, Web: config.Web{Keep: 1000 * time.Hour, MaxSize: 1 << 30}, Targets: targets}
	p, err := Open(c, output.Env{Version: "v1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	r := &rig{Page: p, mux: http.NewServeMux()}
	p.Register(r.mux, func(h http.HandlerFunc) http.HandlerFunc { return h })
	for _, x := range targets {
		r.targets = append(r.targets, &monitor.Target{Target: x})
	}
	return r
}

func host(name string, tags ...config.Tag) config.Target {
	return config.Target{Host: name, Probe: &config.Probe{Tags: tags}}
}

func (r *rig) key(i int) string {
	id := idOf(&r.targets[i].Target)
	return r.history.Series(id).Key().String()
}

func (r *rig) get(path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func result(at time.Time, sent int, rtts ...time.Duration) *icmpcore.PingResult {
	return &icmpcore.PingResult{Start: at, Sent: sent, Received: len(rtts), RTTs: rtts}
}

// What a target is called is text everywhere, and the policy forbids the rest.
func TestHostileText(t *testing.T) {
	r := newRig(t, host(hostile, config.Tag{Key: hostile, Value: hostile}), host("\xff\xfe", config.Tag{Key: "a", Value: "\x80"}))
	for i, target := range r.targets {
		r.Record(target, result(time.Now(), 5, 1e6, 2e6))
		for _, path := range []string{"/", "/t/" + r.key(i), "/t/" + r.key(0) + "," + r.key(1), "/t/" + url.PathEscape(hostile)} {
			w := r.get(path)
			body := w.Body.String()
			if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") || strings.Contains(body, `"><img`) {
				t.Errorf("%s: the name is not escaped: %s", path, body)
			}
			csp := w.Header().Get("Content-Security-Policy")
			if !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
				t.Errorf("%s: policy %q", path, csp)
			}
		}
		w := r.get("/graph/" + r.key(i) + ".png")
		if _, err := png.Decode(w.Body); err != nil || w.Header().Get("Content-Type") != "image/png" {
			t.Errorf("the picture: %v", err)
		}
	}
	var all struct{ Targets []target }
	if err := json.Unmarshal(r.get("/api/targets").Body.Bytes(), &all); err != nil || len(all.Targets) != 2 {
		t.Fatal(err, all)
	}
	found := false
	for _, x := range all.Targets {
		found = found || x.Host == hostile && x.Tags[hostile] == hostile
	}
	if !found {
		t.Errorf("the name changed on its way: %+v", all.Targets)
	}
}

// No data, 100 % loss, no such name, a look-up that failed, nothing sent and an absent
// prober are different states.
func TestStatesOfColumns(t *testing.T) {
	now := time.Now().Truncate(10 * time.Second)
	r := newRig(t, host("a.example"))
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	r.Record(r.targets[0], result(at(0), 5, 1e6))
	r.Record(r.targets[0], result(at(20), 5))
	r.Record(r.targets[0], &icmpcore.PingResult{Start: at(40), Err: &icmpcore.ResolveError{Err: &net.DNSError{IsNotFound: true}}})
	r.Record(r.targets[0], &icmpcore.PingResult{Start: at(60), Err: &icmpcore.ResolveError{Err: &net.DNSError{IsTimeout: true}}})
	r.Record(r.targets[0], &icmpcore.PingResult{Start: at(80), Err: &icmpcore.SendError{Err: errors.New("no route")}})
	r.Record(r.targets[0], result(at(80), 0))
	for s := 0; s <= 130; s += 10 {
		r.history.Sweep(at(s))
	}
	k, err := history.ParseKey(r.key(0))
	if err != nil {
		t.Fatal(err)
	}
	w := window{from: at(-40).Unix(), to: at(200).Unix(), step: 20, now: at(145).Unix()}
	v, err := r.view(k, w)
	if err != nil {
		t.Fatal(err)
	}
	want := "[away away measured down no_such_name lookup_failed not_sent no_data]" // and then columns that may still get rounds
	if got := fmt.Sprint(v.states); got != want {
		t.Errorf("states %s, want %s", got, want)
	}
	b, err := json.Marshal(v.json(10))
	if err != nil || !strings.Contains(string(b), `"rtt":[null,null,[`) || !strings.Contains(string(b), `"loss":0.9`) || !strings.Contains(string(b), `"lookup_failed":[0,0,0,0,0,1,0,0]`) {
		t.Errorf("%v: %s", err, b)
	}
	w.now = at(100000).Unix()
	if v, err := r.view(k, w); err != nil || v.states[len(v.states)-1] != away {
		t.Errorf("the end, later: %v, %v", v.states, err)
	}
	p := r.get(fmt.Sprintf("/graph/%s.png?from=%d&to=%d&theme=dark&width=400&height=200", r.key(0), w.from, w.to))
	img, err := png.Decode(p.Body)
	if err != nil || img.Bounds().Dx() != 400 || img.Bounds().Dy() != 200 {
		t.Fatal(err)
	}
	red := false
	for y := range 200 {
		for x := range 400 {
			r, g, b, _ := img.At(x, y).RGBA()
			red = red || r>>8 == 0xff && g>>8 == 0x4a && b>>8 == 0x4a && y < 140
		}
	}
	if !red {
		t.Error("no red for 100 % loss in the picture")
	}
}

// A change of the path is in the JSON and in the picture. What a report says is text.
func TestPathChange(t *testing.T) {
	r := newRig(t, host("a.example"), host("b.example"))
	now := time.Now()
	old := &path.Route{Hops: []netip.Addr{netip.MustParseAddr("198.18.200.1"), {}, netip.MustParseAddr("198.18.1.1")}, Reached: true, At: now.Add(-40 * time.Minute)}
	found := &output.Path{
		Route:   path.Route{Hops: []netip.Addr{netip.MustParseAddr("198.18.200.2"), netip.MustParseAddr("198.18.1.1")}, Reached: true},
		Verdict: path.Verdict{Cause: path.Changed, Text: hostile}, At: now.Add(-10 * time.Minute),
	}
	r.RecordPath(r.targets[0], found) // before its first result
	for _, x := range r.targets {
		r.Record(x, result(now.Add(-20*time.Minute), 5, 1e6, 2e6))
	}
	png := func(i int) []byte { return r.get("/graph/" + r.key(i) + ".png?range=3600").Body.Bytes() }
	r.RecordPath(r.targets[0], found) // the same path as before
	plain := png(0)
	found.Before = old
	r.RecordPath(r.targets[0], found)
	if bytes.Equal(png(0), plain) {
		t.Error("the change is not in the picture")
	}
	for i, want := range []string{
		fmt.Sprintf(`"path_changes":[{"time":%d,"since":%d,"before":"198.18.200.1 * 198.18.1.1","after":"198.18.200.2 198.18.1.1","verdict":%s}],"total"`, found.At.Unix(), old.At.Unix(), jsonText(t, hostile)),
		`"path_changes":[],"total"`,
	} {
		if body := r.get("/api/history/" + r.key(i)).Body.String(); !strings.Contains(body, want) {
			t.Errorf("want %s in %s", want, body)
		}
	}
	for i := range maxChanges {
		found.At = now.Add(-time.Duration(i+1) * time.Second)
		r.RecordPath(r.targets[0], found)
	}
	body := r.get("/api/history/" + r.key(0)).Body.String()
	if n := strings.Count(body, `"verdict"`); n != maxChanges || !strings.Contains(body, `"path_changes_left_off":1,`) {
		t.Errorf("%d of %d changes", n, maxChanges+1)
	}
	r.Forget(r.targets[1])
	r.RecordPath(r.targets[1], found)
}

func jsonText(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRefusals(t *testing.T) {
	r := newRig(t, host("a.example"))
	k := r.key(0)
	unknown := strings.Repeat("0", len(k))
	for path, want := range map[string]int{
		"/api/history/" + k: 200, "/api/history/" + unknown: 404, "/api/history/x": 404, "/t/" + k: 200, "/t/" + k + "," + unknown: 404, "/t/x": 404,
		"/graph/" + k + ".png": 200, "/graph/" + k + "," + k + ".png": 200, "/graph/" + k: 404, "/graph/" + unknown + ".png": 404, "/graph/.png": 404,
		"/api/history/" + k + "?from=2&to=1": 400, "/api/history/" + k + "?from=-1": 400, "/api/history/" + k + "?range=x": 400, "/api/history/" + k + "?range=99999999999": 400,
		"/api/history/" + k + "?from=0&to=99999999999999999999": 400, "/graph/" + k + ".png?width=1": 400, "/graph/" + k + ".png?height=100000": 400,
		"/graph/" + k + ".png?tz=Nowhere/X": 400, "/graph/" + k + ".png?tz=../../etc/passwd": 400, "/assets/page.js": 200, "/assets/nothing": 404,
	} {
		if got := r.get(path); got.Code != want {
			t.Errorf("%s: %d, want %d: %s", path, got.Code, want, got.Body)
		}
	}
}

// A column is two intervals long at least, and a graph has no more columns than a
// screen shows.
func FuzzWindow(f *testing.F) {
	f.Add("range=10800", 10.0)
	f.Add("from=1&to=2592001", 0.1)
	f.Add("from=5&to=6", 86400.0)
	now := time.Unix(1795800000, 0)
	f.Fuzz(func(t *testing.T, query string, interval float64) {
		q, err := url.ParseQuery(query)
		if err != nil || !(interval >= 0.1 && interval <= 86400) {
			t.Skip()
		}
		w, err := windowOf(q, now, interval)
		if err != nil {
			return
		}
		if n := (w.to - w.from) / w.step; n < 1 || n > maxColumns+2 || w.from%w.step != 0 || w.to%w.step != 0 || float64(w.step) < 2*interval-1 {
			t.Errorf("%q, %v: %+v, %d columns", query, interval, w, n)
		}
	})
}

// A target that a reload replaces by one with another count stays; one that the file
// no longer has leaves the map, and its history stays.
func TestForget(t *testing.T) {
	a, b := host("a.example"), host("b.example")
	r := newRig(t, a, b)
	for _, x := range r.targets {
		r.Record(x, result(time.Now().Add(-30*time.Second), 5, 1e6))
	}
	other := host("a.example")
	other.Options.Count = 7
	for _, x := range r.targets {
		r.Forget(x)
	}
	if n := len(r.history.States()); n != 0 {
		t.Errorf("%d targets are left", n)
	}
	twin := host("a.example") // with the same host and tags, and other options
	later := []*monitor.Target{{Target: other}, {Target: twin}}
	for _, x := range later {
		r.Record(x, result(time.Now().Add(-20*time.Second), 7, 1e6))
	}
	r.Forget(later[1])
	states := r.history.States()
	if len(states) != 1 || states[0].ID.Host != "a.example" || states[0].Sent != 19 {
		t.Errorf("%+v", states)
	}
	if w := r.get("/api/history/" + r.key(1) + "?range=100"); w.Code != 200 || !strings.Contains(w.Body.String(), `"sent":5`) {
		t.Errorf("the history of the other: %d %s", w.Code, w.Body)
	}
}

// The assets are uPlot's files as npm has them, and are asked for again only when they
// have changed.
func TestAssets(t *testing.T) {
	for name, want := range map[string]string{
		"uplot.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f", "uplot.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
	} {
		sum := sha256.Sum256(assets[name].body)
		if got := hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s is %s: it is not that of uPlot 1.6.32", name, got)
		}
	}
	r := newRig(t)
	w := httptest.NewRecorder()
	q := httptest.NewRequest(http.MethodGet, "/assets/page.js", nil)
	q.Header.Set("If-None-Match", r.get("/assets/page.js").Header().Get("ETag"))
	r.mux.ServeHTTP(w, q)
	if w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("the same again: %d", w.Code)
	}
}
