package page_test

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
		if at.Second() < 10 && at.Minute()%2 == 0 {
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

// serve runs pingtel with a file until the test ends, and returns the address of its
// page.
func serve(t *testing.T, text string) (string, *peer.Process) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	file := filepath.Join(t.TempDir(), "pingtel.toml")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, "LISTEN", address)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := peer.Start(t, exec.Command(peer.Pingtel(), "serve", "--config", file))
	peer.Await(t, "the listener", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, p)
	t.Cleanup(func() { p.Stop() })
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
	t.Logf("%.0f bytes over the wire; drawn %.0f ms after the start of navigation", b.wire(), eval[float64](b, "performance.now()"))
	b.picture("month")
}
