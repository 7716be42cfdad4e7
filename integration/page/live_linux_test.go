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

// hostile is a tag that would be an element, an attribute, a script or another line if
// anything took it for more than text.
const hostile = `"><img src=x onerror="document.title='owned'"><script>document.title='owned'</script>` + "\u202e\\u0000 {{.}} $1 'a' `b` \u0007\n\u2028x"

func rule(host string, delay time.Duration, loss float64) netsim.Rule {
	return netsim.Rule{Prefix: netip.MustParsePrefix(host + "/32"), Delay: delay, Jitter: delay / 5, Loss: loss}
}

const network = `[agent]
interval = "1s"
[defaults]
count = 5
ping_interval = "50ms"
timeout = "400ms"
[web]
listen = "LISTEN"
[[targets]]
hosts = ["198.18.1.1"]
tags = { site = "north", name = "steady" }
[[targets]]
hosts = ["198.18.1.2"]
tags = { site = "north", name = "lossy" }
[[targets]]
hosts = ["198.18.1.3"]
tags = { site = "south", name = "outage" }
[[targets]]
hosts = ["198.18.1.4"]
tags = { site = "south", name = "other path" }
[[targets]]
hosts = ["nowhere.invalid"]
tags = { site = "south" }
[[targets]]
hosts = ["198.18.1.6"]
tags = { "%s" = "%s" }
`

func quoted(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			fmt.Fprintf(&b, "\\U%08X", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// TestLive uses the page as a person would, while hosts of a simulated network lose
// packets, go away and get another path.
func TestLive(t *testing.T) {
	netsim.Run(t, []netsim.Rule{
		rule("198.18.1.1", 5*time.Millisecond, 0), rule("198.18.1.2", 12*time.Millisecond, .2), rule("198.18.1.3", 8*time.Millisecond, 0),
		rule("198.18.1.4", 10*time.Millisecond, 0), rule("198.18.1.6", 3*time.Millisecond, 0),
	}, func(t *testing.T, n *netsim.Net) {
		b := startBrowser(t)
		url, p := serve(t, fmt.Sprintf(network, quoted(hostile), quoted(hostile)))
		b.open(url + "/")
		b.await("a round of all targets", "fetch('/api/targets').then(a => a.json()).then(a => a.targets.length == 6 && a.targets.every(t => t.state != 'no_data'))")
		b.open(url + "/")
		row := "[...document.querySelectorAll('#list tbody tr')]"
		if got := eval[string](b, row+".map(r => r.cells[1].textContent + ' ' + r.cells[2].textContent).find(r => r.startsWith('nowhere'))"); got != "nowhere.invalid look-up failed" {
			t.Errorf("the name without a DNS server: %q", got)
		}
		search(t, b)
		if !eval[bool](b, fmt.Sprintf("document.body.textContent.includes(%s)", jsText(hostile))) || eval[string](b, "document.title") != "pingtel" ||
			eval[bool](b, "document.querySelector('td img, td script, h3 img, option img') != null") {
			t.Error("the hostile tag is not there as text, or it did something")
		}
		key := eval[string](b, row+".find(r => r.cells[1].textContent == '198.18.1.6').querySelector('a').href")
		b.open(key)
		if !eval[bool](b, fmt.Sprintf("document.querySelector('.chips').textContent.includes(%s)", jsText(hostile))) || strings.Contains(eval[string](b, "document.title"), "owned") {
			t.Error("the hostile tag on its own page")
		}
		b.open(url + "/")
		all := eval[string](b, row+".filter(r => r.cells[1].textContent.startsWith('198.18.1.') && r.cells[1].textContent != '198.18.1.6').map(r => r.querySelector('a').href.split('/').pop()).sort().join(',')")
		b.open(url + "/t/" + all)
		renewal(t, b, n)
		zoom(t, b)
		if *pictures != "" {
			pose(t, b, n, url, all)
		}
		for _, fault := range b.wrong(url) {
			t.Error(fault)
		}
		if p.Ended() {
			t.Errorf("pingtel has ended: %s", p.Text())
		}
	})
}

func jsText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		fmt.Fprintf(&b, "\\u%04x", r)
	}
	b.WriteByte('"')
	return b.String()
}

// search finds by host and by tag, and groups by a tag.
func search(t *testing.T, b *browser) {
	t.Helper()
	for _, tt := range []struct {
		query string
		want  int
	}{{"198.18.1.4", 1}, {"site=south", 3}, {"site=south outage", 1}, {"NORTH", 2}, {"nothing at all", 0}, {"", 6}} {
		eval[bool](b, fmt.Sprintf("(() => { const s = document.querySelector('#search'); s.value = %q; s.oninput(); return true })()", tt.query))
		if got := eval[int](b, "document.querySelectorAll('#list tbody tr').length"); got != tt.want {
			t.Errorf("search for %q: %d rows, want %d", tt.query, got, tt.want)
		}
	}
	eval[bool](b, "(() => { const g = document.querySelector('#group'); g.value = '=site'; g.onchange(); return true })()")
	if got := eval[string](b, "[...document.querySelectorAll('#map h3')].map(h => h.firstChild.data).sort().join()"); got != "(none),north,south" {
		t.Errorf("groups %q", got)
	}
	eval[bool](b, "(document.querySelector('#map canvas').focus(), true)")
	b.key("ArrowRight")
	if got := eval[string](b, "document.querySelector('#cell').textContent"); !strings.Contains(got, ": ") {
		t.Errorf("the keyboard reads %q", got)
	}
}

// renewal waits for the picture of an outage to appear by itself.
func renewal(t *testing.T, b *browser, n *netsim.Net) {
	t.Helper()
	n.Set(netsim.Rule{Prefix: netip.MustParsePrefix("198.18.1.3/32"), Answer: netsim.Lost}, rule("198.18.1.4", 25*time.Millisecond, 0))
	down := "[...document.querySelectorAll('.graph')].filter(g => g.querySelector('.u-wrap').parentNode.getAttribute('aria-label').includes('100 % loss')).map(g => g.querySelector('h2').textContent).join()"
	peer.Await(t, "the outage on the page", func() bool { return eval[string](b, down) == "198.18.1.3" }, b.process)
	n.Set(rule("198.18.1.3", 8*time.Millisecond, 0))
}

// zoom drags over a graph, and comes back with the keyboard.
func zoom(t *testing.T, b *browser) {
	t.Helper()
	box := eval[[]float64](b, "(() => { const r = document.querySelector('.u-over').getBoundingClientRect(); return [r.left, r.top, r.width, r.height] })()")
	before := eval[string](b, "document.body.dataset.loaded")
	b.drag(box[0]+box[2]*.9, box[0]+box[2]*.98, box[1]+box[3]/2)
	b.await("the zoom", "location.search.includes('from=') && document.body.dataset.loaded != "+fmt.Sprintf("%q", before))
	long := eval[float64](b, "(q => q.get('to') - q.get('from'))(new URLSearchParams(location.search))")
	if long < 700 || long > 1000 { // 8 % of three hours
		t.Errorf("the window is %v seconds long", long)
	}
	eval[bool](b, "(document.querySelector('.uplot').focus(), true)")
	b.key("ArrowLeft")
	b.await("figures of a column", "document.querySelector('.readout').textContent.includes('·')")
	b.key("-")
	b.await("zoom out", "(q => q.get('to') - q.get('from'))(new URLSearchParams(location.search)) > 2000")
	eval[bool](b, "(document.querySelector('[data-range=\"10800\"]').click(), true)")
	b.await("the newest again", "location.search == '?range=10800'")
	png := eval[string](b, "fetch(document.querySelector('.png').href).then(a => a.blob()).then(createImageBitmap).then(i => i.width + 'x' + i.height)")
	if png != "960x300" {
		t.Errorf("the picture is %s", png)
	}
}

// pose makes the pictures of docs: five minutes with loss, an outage and another path.
func pose(t *testing.T, b *browser, n *netsim.Net, url, all string) {
	t.Helper()
	ctx := t.Context()
	for i := range 10 {
		switch i {
		case 3:
			n.Set(netsim.Rule{Prefix: netip.MustParsePrefix("198.18.1.3/32"), Answer: netsim.Lost})
		case 5:
			n.Set(rule("198.18.1.3", 8*time.Millisecond, 0), rule("198.18.1.2", 12*time.Millisecond, .04))
		case 6:
			n.Set(rule("198.18.1.4", 10*time.Millisecond, 0))
		case 7:
			n.Set(rule("198.18.1.1", 5*time.Millisecond, .01))
		}
		select {
		case <-time.After(30 * time.Second):
		case <-ctx.Done():
		}
	}
	b.size(1120, 700)
	b.open(url + "/t/" + all + "?range=330")
	b.picture("page-graphs", true)
	b.dark(true)
	b.picture("page-graphs-dark", true)
	b.open(url + "/")
	b.picture("page-targets-dark", true)
	b.dark(false)
	b.picture("page-targets", true)
	b.size(360, 760)
	b.picture("page-targets-phone", true)
}
