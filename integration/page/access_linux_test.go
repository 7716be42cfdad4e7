package page_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// unnamed returns the roles of controls and pictures that have no name for a screen
// reader.
func unnamed(b *browser) (list []string) {
	b.t.Helper()
	type value struct{ Value any }
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name value
		}
	}
	b.call("Accessibility.getFullAXTree", nil, &tree)
	seen := 0
	for _, n := range tree.Nodes {
		switch n.Role.Value {
		case "img", "image", "button", "link", "checkbox", "textbox", "searchbox", "combobox", "DisclosureTriangle":
			if n.Ignored {
				continue
			}
			seen++
			if name, _ := n.Name.Value.(string); strings.TrimSpace(name) == "" {
				list = append(list, fmt.Sprint(n.Role.Value))
			}
		}
	}
	if seen < 5 {
		b.t.Errorf("only %d controls in the tree", seen)
	}
	return list
}

// tab presses the tab key, and returns what has the focus then.
func (b *browser) tab() string {
	b.t.Helper()
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}, nil)
	}
	return eval[string](b, "(e => e.id || e.dataset.range || e.className || e.dataset.group === '' && 'map' || e.tagName)(document.activeElement)")
}

// TestAccess: the page works with the keyboard alone, on a narrow screen and for a screen
// reader, also if names and tags are as bad as they can be, and if a link asks for what
// cannot be.
func TestAccess(t *testing.T) {
	b := startBrowser(t)
	long := strings.Repeat("W", 5000)
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, ", \"k%d\" = \"v%d\"", i, i)
	}
	url, _ := serve(t, fmt.Sprintf(`[agent]
interval = "1s"
[defaults]
count = 1
[web]
listen = "LISTEN"
metrics = false
[[targets]]
hosts = ["127.0.0.1"]
tags = { "%s" = "%s", a = "\u202Eevil\u2069\u202Eevil" }
[[targets]]
hosts = ["127.0.0.2"]
tags = { constructor = "one", "__proto__" = "two" }
[[targets]]
hosts = ["127.0.0.3"]
tags = { "%s" = "\u0000'\"</script>" %s }
`, long, long, quoted(hostile), many.String()))
	b.open(url + "/")
	b.await("a round of all targets", "fetch('/api/targets').then(a => a.json()).then(a => a.targets.length == 3 && a.targets.every(t => t.state == 'measured'))")
	b.open(url + "/")
	if list := unnamed(b); len(list) > 0 {
		t.Errorf("without a name for a screen reader: %v", list)
	}
	group := func(name string) string {
		return eval[string](b, fmt.Sprintf("(() => { const g = document.querySelector('#group'); g.value = '=%s'; g.onchange(); return [...document.querySelectorAll('#map h3')].map(h => h.firstChild.data).sort().join() })()", name))
	}
	if got := group("constructor"); got != "(none),one" {
		t.Errorf("groups by the tag constructor: %q", got)
	}
	if got := group("__proto__"); got != "(none),two" {
		t.Errorf("groups by the tag __proto__: %q", got)
	}
	if got := group("a"); strings.ContainsAny(got, "\u202e\u2069") {
		t.Errorf("a group turns the text: %q", got)
	}
	eval[bool](b, "(() => { const g = document.querySelector('#group'); g.value = ''; g.onchange(); return true })()")
	var order []string
	for range 8 {
		order = append(order, b.tab())
	}
	if got := strings.Join(order, " "); !strings.Contains(got, "search group order map INPUT A INPUT") {
		t.Errorf("the order of the tab key: %s", got)
	}
	// The list is drawn anew with each answer. The focus stays where it was.
	key := eval[string](b, "document.activeElement.closest('tr').dataset.key")
	loaded := eval[string](b, "document.body.dataset.loaded")
	b.await("a renewal", fmt.Sprintf("document.body.dataset.loaded != %q", loaded))
	if got := eval[string](b, "document.activeElement.closest('tr')?.dataset.key ?? document.activeElement.tagName"); got != key {
		t.Errorf("after a renewal %s has the focus, not %s", got, key)
	}
	eval[bool](b, "(document.querySelector('#map canvas').focus(), true)")
	b.key("ArrowRight")
	b.key("ArrowRight")
	place := eval[string](b, "document.querySelector('#map canvas').dataset.place")
	loaded = eval[string](b, "document.body.dataset.loaded")
	b.await("a renewal", fmt.Sprintf("document.body.dataset.loaded != %q", loaded))
	if got := eval[string](b, "document.activeElement.dataset.place"); got != place || place == "" {
		t.Errorf("the place on the map after a renewal is %q, not %q", got, place)
	}
	narrow(t, b, url)
	links(t, b, url+"/t/"+key)
	readers(t, url, key)
	for _, fault := range b.wrong(url) {
		if !strings.Contains(fault, "status of 400") && !strings.HasPrefix(fault, "request of data:") { // of links, and of the other eyes
			t.Error(fault)
		}
	}
}

// narrow looks at both pages on a screen of 360 pixels, dark and with other eyes.
func narrow(t *testing.T, b *browser, url string) {
	t.Helper()
	keys := eval[string](b, "[...document.querySelectorAll('#list tbody tr')].map(r => r.dataset.key).join()")
	b.size(360, 760)
	for i, address := range []string{url + "/", url + "/t/" + keys} {
		b.open(address)
		if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s is %d pixels wide", address, wide)
		}
		if high := eval[int](b, "Math.round(document.querySelector('#map, .plot').getBoundingClientRect().top)"); high > 700 {
			t.Errorf("%s begins with %d pixels of text", address, high)
		}
		b.dark(true)
		b.picture(fmt.Sprintf("access-%d-narrow-dark", i), false)
		b.dark(false)
		b.call("Emulation.setEmulatedVisionDeficiency", map[string]any{"type": "deuteranopia"}, nil)
		b.picture(fmt.Sprintf("access-%d-narrow-deuteranopia", i), false)
		b.call("Emulation.setEmulatedVisionDeficiency", map[string]any{"type": "none"}, nil)
	}
	if list := unnamed(b); len(list) > 0 {
		t.Errorf("without a name for a screen reader: %v", list)
	}
	b.size(1280, 900)
}

// links follows links to times that cannot be shown. The page says so, and a button leads
// out.
func links(t *testing.T, b *browser, page string) {
	t.Helper()
	for _, query := range []string{"from=200&to=100", "range=1e308", "range=-5", "from=-1e308&to=1e308", "from=1&to=99999999999999999999"} {
		b.call("Page.navigate", map[string]any{"url": page + "?" + query}, nil)
		b.await("the refusal of "+query, "location.search == '?"+query+"' && document.querySelector('#window')?.textContent.startsWith('pingtel refuses this view')")
		eval[bool](b, "(document.querySelector('[data-range=\"10800\"]').click(), true)")
		b.await("the newest", "document.querySelector('#window')?.textContent.includes(' to now')")
	}
	for _, query := range []string{"range=NaN", "from=NaN", "from=x&to=y", "range=%00"} { // as if it said nothing
		b.call("Page.navigate", map[string]any{"url": page + "?" + query}, nil)
		b.await("the newest instead of "+query, "location.search == '?"+query+"' && document.querySelector('#window')?.textContent.includes(' to now')")
	}
}

// readers lets many read at once.
func readers(t *testing.T, url, key string) {
	t.Helper()
	paths := []string{"/", "/t/" + key, "/api/targets", "/api/history/" + key + "?range=2592000", "/graph/" + key + ".png", "/assets/page.js"}
	var all sync.WaitGroup
	for range 20 {
		for _, path := range paths {
			all.Go(func() {
				r, err := http.Get(url + path)
				if err != nil || r.StatusCode != http.StatusOK {
					t.Errorf("%s: %v, %v", path, r, err)
				}
				if err == nil {
					r.Body.Close()
				}
			})
		}
	}
	all.Wait()
	for _, size := range []string{"1e9", "1000000000", "-5", "NaN", "1e308", "2401", "0"} {
		r, err := http.Get(url + "/graph/" + key + ".png?width=" + size)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusBadRequest {
			t.Errorf("a picture %s pixels wide: %s", size, r.Status)
		}
	}
}
