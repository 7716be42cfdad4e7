package page_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestPathMarks: a change of the path is a mark on the graph, and a row of the table
// behind it. Both are still there after a restart.
func TestPathMarks(t *testing.T) {
	way := func(delay time.Duration, hops int, answer netsim.Answer) netsim.Rule {
		return netsim.Rule{Prefix: netip.MustParsePrefix("198.18.1.4/32"), Delay: delay, Hops: routers(hops), Answer: answer}
	}
	netsim.Run(t, []netsim.Rule{way(10*time.Millisecond, 3, nil)}, func(t *testing.T, n *netsim.Net) {
		text := fmt.Sprintf("[agent]\nstate = %q\ninterval = \"1s\"\n[defaults]\ncount = 5\nping_interval = \"50ms\"\ntimeout = \"400ms\"\n"+
			"[web]\nlisten = \"LISTEN\"\n[path]\nwhen = \"loss\"\n[[targets]]\nhosts = [\"198.18.1.4\"]\n", t.TempDir())
		url, p := serve(t, text)
		traced := func(ttl uint8) func() bool { // by an echo that expires there; others have the system's TTL
			return func() bool {
				for _, r := range n.Arrived() {
					if r.TTL == ttl {
						return true
					}
				}
				return false
			}
		}
		peer.Await(t, "a trace of the healthy path", traced(3), p)
		var all struct{ Targets []struct{ Key, State string } }
		peer.Await(t, "a round", func() bool {
			get(t, url+"/api/targets", &all)
			return len(all.Targets) == 1 && all.Targets[0].State == "measured"
		}, p)
		key := all.Targets[0].Key
		// Each round loses some, and each trace sees the new path.
		n.Set(way(28*time.Millisecond, 6, netsim.Every(2, netsim.Lost)))
		var h struct {
			PathChanges []struct {
				Time, Since            int64
				Before, After, Verdict string
			} `json:"path_changes"`
		}
		peer.Await(t, "the change", func() bool { get(t, url+"/api/history/"+key, &h); return len(h.PathChanges) > 0 }, p)
		n.Set(way(28*time.Millisecond, 6, nil))
		c := h.PathChanges[0]
		if c.Before != "198.18.203.1 198.18.203.2 198.18.203.3 198.18.1.4" || !strings.Contains(c.After, "198.18.206.5") || c.Since > c.Time || !strings.Contains(c.Verdict, "the path has changed since") {
			t.Errorf("%+v", c)
		}
		b := startBrowser(t)
		check := func(when string) {
			b.open(url + "/t/" + key + "?range=60")
			// The mark is a dashed line of the colour of text: no other draws that.
			dark := `(() => { const c = document.querySelector('.plot canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0
				for (let i = 0; i < d.length; i += 4) if (d[i] < 60 && d[i + 1] < 60 && d[i + 2] < 60 && d[i + 3] > 240) n++; return n })()`
			if got := eval[int](b, dark); got < 80 {
				t.Errorf("%s: %d dark points of a mark in the graph", when, got)
			}
			if label := eval[string](b, "document.querySelector('.uplot').getAttribute('aria-label')"); !strings.Contains(label, "1 path change.") {
				t.Errorf("%s: the graph says %q", when, label)
			}
			eval[bool](b, "(document.querySelector('details').open = true)")
			b.await("the table", "document.querySelector('.paths tbody tr')")
			row := eval[string](b, "[...document.querySelector('.paths tbody tr').cells].slice(2).map(c => c.textContent).join('|')")
			if row != c.Before+"|"+c.After+"|"+c.Verdict {
				t.Errorf("%s: the table has %q", when, row)
			}
			if other := eval[bool](b, "[...document.querySelectorAll('.columns tbody tr')].some(r => r.cells[10].textContent.includes('path changed'))"); !other {
				t.Errorf("%s: no column has the change", when)
			}
			eval[bool](b, "(document.querySelector('.uplot').focus(), true)")
			found := false
			for range 60 {
				b.key("ArrowLeft")
				if found = strings.Contains(eval[string](b, "document.querySelector('.readout').textContent"), "the path was "+c.Before); found {
					break
				}
			}
			if !found {
				t.Errorf("%s: the keyboard does not find the change", when)
			}
			b.picture("path-"+strings.ReplaceAll(when, " ", "-"), true)
		}
		check("as it happens")
		if _, status := p.Stop(); status != 0 {
			t.Fatalf("exit status %d: %s", status, p.Text())
		}
		url, _ = serve(t, text)
		check("after a restart")
		for _, fault := range b.wrong(url) {
			if !strings.Contains(fault, "ERR_CONNECTION_REFUSED") { // while pingtel restarts
				t.Error(fault)
			}
		}
	})
}
