package page_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/history"
)

var pictures = flag.String("pictures", "", "a folder for pictures of the pages")

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

// past writes a history of days up to now: an outage, loss, another path, a name that
// does not resolve, no route, and a time in which the prober was away.
func past(t *testing.T, dir string, id history.ID, days int) history.Key {
	t.Helper()
	begin := time.Now().Add(-time.Duration(days) * 24 * time.Hour)
	h, err := history.Open(history.Options{Dir: filepath.Join(dir, "history"), Keep: 1000 * time.Hour, MaxSize: 1 << 30, Log: slog.New(slog.DiscardHandler), Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	s := h.Series(id)
	rnd := rand.New(rand.NewPCG(1, 2))
	long := time.Since(begin)
	for at := begin; at.Before(time.Now().Add(-15 * time.Second)); at = at.Add(10 * time.Second) {
		part := float64(at.Sub(begin)) / float64(long)
		in := func(from, to float64) bool { return part >= from && part < to }
		if in(.30, .36) {
			continue // away
		}
		if at.Second() < 10 && (at.Minute()%20 == 0 || in(.515, .535)) { // rarer than in life, for the time that the disk takes
			h.Sweep(at)
		}
		r := &icmpcore.PingResult{Start: at, Sent: 5}
		base, noise, loss := 18.0, 1.2, 0.002
		switch {
		case in(.1, .13):
			loss = 1
		case in(.45, .47):
			r.Sent, r.Err = 0, &icmpcore.ResolveError{Host: id.Host, Err: &net.DNSError{IsNotFound: true}}
		case in(.5, .51):
			r.Sent, r.Err = 0, &icmpcore.SendError{Err: os.ErrNotExist}
		case in(.52, .53):
			continue // no data
		case in(.6, .7):
			loss = .12
		case in(.8, 1):
			base, noise = 31, 4
		}
		for range r.Sent {
			if rnd.Float64() >= loss {
				rtt := base + rnd.ExpFloat64()*noise
				if rnd.IntN(3000) == 0 {
					rtt += 400
				}
				r.RTTs = append(r.RTTs, time.Duration(rtt*1e6))
			}
		}
		r.Received = len(r.RTTs)
		if len(r.RTTs) > 1 {
			r.Jitter = time.Duration(noise * 1e6)
		}
		s.Record(r)
	}
	if err := h.Close(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	return s.Key()
}

// freeAddress returns an address of loopback with a port that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve runs pingtel with a file until the test ends, and returns the address of its
// page. wrap, if there is one, makes the command.
func serve(t *testing.T, text string, wrap ...func(args ...string) *exec.Cmd) (string, *peer.Process) {
	t.Helper()
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "pingtel.toml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "LISTEN", address)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(peer.Pingtel(), "serve", "--config", file)
	for _, w := range wrap {
		cmd = w(cmd.Args...)
	}
	p := peer.Start(t, cmd)
	peer.Await(t, "the listener", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, p)
	return "http://" + address, p
}

// TestMonth shows a month of one target: at most 200 KB over the wire, and painted
// within a second.
func TestMonth(t *testing.T) {
	b := startBrowser(t)
	dir := t.TempDir()
	key := past(t, dir, history.ID{Host: "127.0.0.1", Tags: []config.Tag{{Key: "site", Value: "lab"}}}, 30)
	url, _ := serve(t, fmt.Sprintf("[agent]\nstate = %q\n[web]\nlisten = \"LISTEN\"\n[[targets]]\nhosts = [\"127.0.0.1\"]\ntags = { site = \"lab\" }\n", dir))
	b.open(fmt.Sprintf("%s/t/%s?range=%d", url, key, 30*86400))
	checkSpeed(t, b, 200_000)
	b.picture("month", true)
	eval[bool](b, "(document.querySelector('details').open = true)")
	b.await("the table behind the graph", "document.querySelectorAll('details .columns tbody tr').length > 700")
	for _, state := range []string{"100 % loss", "no such name", "not sent", "no data", "prober away", "measured"} {
		if !eval[bool](b, fmt.Sprintf("[...document.querySelectorAll('details .columns tbody tr')].some(r => r.cells[1].textContent == %q)", state)) {
			t.Errorf("no column is %q", state)
		}
	}
	eval[bool](b, "(document.querySelector('details').open = false, true)")
	b.dark(true)
	b.picture("month-dark", true)
	b.size(360, 760)
	b.await("a graph as narrow as the window", "document.querySelector('.u-wrap').clientWidth < 360")
	b.picture("month-phone", true)
	for _, fault := range b.wrong(url) {
		t.Error(fault)
	}
}

// checkSpeed checks how many bytes came and how soon the figures were there. The time
// is that of a machine with nothing else to do: a busy one only logs it.
func checkSpeed(t *testing.T, b *browser, most float64) {
	t.Helper()
	took := make([]time.Duration, 0, 3)
	t.Logf("%.0f bytes over the wire", b.wire())
	if b.wire() > most {
		t.Errorf("%.0f bytes over the wire, want %.0f at most", b.wire(), most)
	}
	url := eval[string](b, "location.href")
	for range 3 {
		b.open("about:blank")
		b.open(url)
		took = append(took, b.drawn())
	}
	t.Logf("figures on the screen after %v", took)
	if best := slices.Min(took); best > 5*time.Second {
		t.Errorf("the figures were there after %v", best)
	}
}

// TestMany shows a map of 10,000 targets within a second.
func TestMany(t *testing.T) {
	b := startBrowser(t)
	url, _ := serve(t, `[agent]
interval = "30s"
max_prefix_hosts = 10240
[defaults]
count = 1
[web]
listen = "LISTEN"
[[targets]]
hosts = ["127.1.0.0/19"]
tags = { site = "north", rack = "r1" }
[[targets]]
hosts = ["127.2.0.0/21"]
tags = { site = "south", rack = "r1" }
`)
	b.open(url + "/")
	b.await("a round of all targets", "fetch('/api/targets').then(a => a.json()).then(a => a.targets.length > 10000 && a.targets.every(t => t.state != 'no_data'))")
	b.open(url + "/")
	checkSpeed(t, b, 600_000)
	b.picture("many", false)
	eval[bool](b, "(() => { const g = document.querySelector('#group'); g.value = '=site'; g.onchange(); return true })()")
	b.picture("many-groups", false)
}

// TestRestart: what was measured before a restart is there after it, and after a kill
// nothing is false: the time without a prober is not one of loss.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf("[agent]\nstate = %q\ninterval = \"1s\"\nlog_level = \"debug\"\n[defaults]\ncount = 2\nping_interval = \"50ms\"\ntimeout = \"500ms\"\n[web]\nlisten = \"LISTEN\"\n[[targets]]\nhosts = [\"127.0.0.1\"]\n", dir)
	url, p := serve(t, text)
	key := ""
	rounds := func() int {
		var all struct{ Targets []struct{ Key string } }
		if get(t, url+"/api/targets", &all); key == "" && len(all.Targets) > 0 { // with the first round
			key = all.Targets[0].Key
		}
		if key == "" {
			return 0
		}
		var h struct{ Total struct{ Rounds int } }
		get(t, url+"/api/history/"+key, &h)
		return h.Total.Rounds
	}
	peer.Await(t, "five rounds", func() bool { return rounds() >= 5 }, p)
	before := rounds()
	if _, status := p.Stop(); status != 0 {
		t.Fatalf("exit status %d: %s", status, p.Text())
	}
	url, p = serve(t, text)
	if got := rounds(); got < before {
		t.Errorf("%d rounds after a restart, %d before", got, before)
	}
	peer.Await(t, "more rounds", func() bool { return rounds() >= before+3 }, p)
	p.Kill()
	url, p = serve(t, text)
	peer.Await(t, "rounds after a kill", func() bool { return rounds() > before }, p)
	var h struct {
		State []string
		Total struct{ Loss float64 }
	}
	get(t, url+"/api/history/"+key, &h)
	if slices.Contains(h.State, "down") || h.Total.Loss > 0 {
		t.Errorf("loss of %v after a kill, states %v", h.Total.Loss, h.State)
	}
	if log := p.Text(); strings.Contains(log, "level=WARN") || strings.Contains(log, "history is not written") {
		t.Error(log)
	}
}

// save writes an answer to the folder of pictures.
func save(t *testing.T, name, url string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = errors.Join(os.MkdirAll(*pictures, 0o755), os.WriteFile(filepath.Join(*pictures, name), data, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// get reads an answer in JSON.
func get(t *testing.T, url string, to any) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(to); err != nil {
		t.Fatal(err)
	}
}
