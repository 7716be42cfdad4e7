package fleet

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// halves are the probers of two sites: of the first one those with the numbers 0 to 2, of
// the other one 3 and 4.
type halves struct {
	all *probers
	of  [2]*probers
}

const splitTargets, splitHosts = "198.18.64.1-200", 200

// startHalves starts the probers. members are their members at each site.
func startHalves(t *testing.T, sites [2]*site, members [2]string) *halves {
	t.Helper()
	h := &halves{all: newProbers(t, splitTargets, splitHosts, 1, "")}
	for i, s := range sites {
		p := newProbers(t, splitTargets, splitHosts, 1, members[i])
		p.wrap = s.command
		for n := 3 * i; n < 3+2*i; n++ {
			name := fmt.Sprintf("probe-%d", n)
			if strings.HasPrefix(members[i], "{ http") {
				p.more = fmt.Sprintf("[web]\nlisten = \"%s:%d\"\npage = false\n", s.addr, 9473+n)
			}
			h.all.running[name] = p.start(name)
		}
		h.of[i] = p
	}
	return h
}

// together waits until all probers know each other, and checks that no target was without
// a prober since a time.
func (h *halves) together(t *testing.T, since time.Time) {
	t.Helper()
	h.all.settle()
	if sum := sum(h.all.owned()); sum != splitHosts {
		t.Errorf("all probers own %d targets together, want each of %d once", sum, splitHosts)
	}
	if since.IsZero() {
		return
	}
	h.all.steady(since, time.Now().Add(-2*late), interval+late)
}

// alone checks that a half measures all targets, in the next intervals.
func (h *halves) alone(t *testing.T, half int) {
	t.Helper()
	p := h.of[half]
	p.settle()
	from := time.Now()
	wait(2*interval + 3*late)
	p.steady(from, time.Now().Add(-2*late), interval+late)
	for _, s := range p.running {
		s.Says(t, 0, "probers of the fleet are missing")
	}
}

// TestSplitNATS cuts the network between two sites, of which the first has two of three
// servers of NATS. That one measures everything after the hold-down. The other one goes
// on with its own targets, and says that its list is old.
func TestSplitNATS(t *testing.T) {
	t.Parallel()
	peer.NATS(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		here, there := twoSites(t)
		s := startServersAt(t, here, here, there)
		members := fmt.Sprintf(`{ nats = %q, refresh = %q }`, s.urls(), refresh)
		h := startHalves(t, [2]*site{here, there}, [2]string{members, members})
		h.together(t, time.Time{})
		before := h.of[1].owned()
		from := time.Now()
		cut(t, here, true)
		h.alone(t, 0)
		for name, s := range h.of[1].running {
			s.Says(t, 0, "the list of the fleet's members cannot be read: the last one stays in force")
			if own := s.Internal(t); own.Int("fleet_members") != 5 || own.Int("fleet_view_age_ms") < holdDown.Milliseconds() {
				t.Errorf("%s has %d members and a list of %d ms, want the 5 from before", name, own.Int("fleet_members"), own.Int("fleet_view_age_ms"))
			}
		}
		h.of[1].unchanged(before, from)
		cut(t, here, false)
		h.together(t, from)
	})
}

// TestSplitSites cuts the network between two sites with a server of NATS and a fleet
// each. Each fleet measures everything all the time, and notices nothing.
func TestSplitSites(t *testing.T) {
	t.Parallel()
	peer.NATS(t)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		here, there := twoSites(t)
		var members [2]string
		for i, at := range []*site{here, there} {
			members[i] = fmt.Sprintf(`{ nats = %q, refresh = %q }`, startServersAt(t, at).urls(), refresh)
		}
		h := startHalves(t, [2]*site{here, there}, members)
		for _, p := range h.of {
			p.settle()
		}
		from := time.Now()
		cut(t, here, true)
		wait(holdDown + refresh)
		cut(t, here, false)
		wait(refresh)
		for i, p := range h.of {
			if sum := sum(p.owned()); sum != splitHosts {
				t.Errorf("half %d owns %d targets, want all of %d", i, sum, splitHosts)
			}
			p.steady(from, time.Now().Add(-2*late), interval+late)
		}
	})
}

// catalog is a list of the probers whose listeners it reaches, as Consul's is.
type catalog struct {
	probers map[string]string // addresses by name
	client  http.Client
}

func startCatalog(t *testing.T, at *site, probers map[string]string) string {
	t.Helper()
	c := &catalog{probers: probers}
	c.client.Timeout = refresh / 8
	c.client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = at.at(t, func() error {
			conn, err = new(net.Dialer).DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}}
	var l net.Listener
	if err := at.at(t, func() (err error) {
		l, err = net.Listen("tcp", at.addr+":8500")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	go srv.Serve(l) // it ends with the test
	t.Cleanup(func() { srv.Close() })
	return fmt.Sprintf("http://%s:8500", at.addr)
}

func (c *catalog) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var names []string
	for name, addr := range c.probers {
		resp, err := c.client.Get("http://" + addr + "/-/healthy")
		if err != nil {
			continue // cut off, or not started
		}
		resp.Body.Close()
		names = append(names, fmt.Sprintf("%q", name))
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `[{"targets": [%s]}]`, strings.Join(names, ", ")) // fails if the prober was killed
}

// TestSplitLists cuts the network between two sites with a list each, of the probers that
// the site reaches. Each half measures everything, and says so.
func TestSplitLists(t *testing.T) {
	t.Parallel()
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		here, there := twoSites(t)
		all := make(map[string]string)
		for n := range 5 {
			all[fmt.Sprintf("probe-%d", n)] = fmt.Sprintf("%s:%d", []*site{here, there}[n/3].addr, 9473+n)
		}
		var members [2]string
		for i, at := range []*site{here, there} {
			members[i] = fmt.Sprintf(`{ http = %q, refresh = %q }`, startCatalog(t, at, all), refresh)
		}
		h := startHalves(t, [2]*site{here, there}, members)
		h.together(t, time.Time{})
		from := time.Now()
		cut(t, here, true)
		for half := range h.of {
			h.alone(t, half)
		}
		cut(t, here, false)
		h.together(t, from.Add(holdDown+2*refresh+interval)) // with one copy the half that lost a prober has a gap until then
	})
}
