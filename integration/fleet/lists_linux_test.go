package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// listRefresh is the refresh of lists: short, since the test waits for many.
const listRefresh = time.Second

// list is a kind of list of members, and how it is broken.
type list struct {
	members string   // key and value
	names   []string // that the probers give themselves
	publish func(t *testing.T, names []string)
	broken  []func(t *testing.T)
	alien   string // a prober that the list does not have
}

// fileSD is a list as files and HTTP servers have it, with zones.
func fileSD(t *testing.T, names []string) []byte {
	t.Helper()
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for i, name := range names {
		groups = append(groups, group{[]string{name + ":9473"}, map[string]string{"zone": fmt.Sprint("z", i%2)}})
	}
	text, err := json.Marshal(groups)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// byFile is a list in a file.
func byFile(t *testing.T) *list {
	file := filepath.Join(t.TempDir(), "probers.json")
	write := func(t *testing.T, text []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	return &list{
		members: fmt.Sprintf("file = %q", file),
		names:   []string{"probe-0", "probe-1", "probe-2"},
		publish: func(t *testing.T, names []string) { write(t, fileSD(t, names)) },
		broken: []func(t *testing.T){
			func(t *testing.T) { write(t, []byte(`[{"targets": ["pro`)) },
			func(t *testing.T) { write(t, []byte(`[]`)) },
			func(t *testing.T) {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			},
		},
		alien: "probe-9",
	}
}

// byHTTP is the answer of a server.
func byHTTP(t *testing.T) *list {
	var answer atomic.Pointer[http.HandlerFunc]
	next := make(chan struct{}) // closed when there is another answer
	say := func(f http.HandlerFunc) {
		answer.Store(&f)
		close(next)
		next = make(chan struct{})
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*answer.Load())(w, r) }))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(next) }) // before
	return &list{
		members: fmt.Sprintf("http = %q", srv.URL),
		names:   []string{"probe-0", "probe-1", "probe-2"},
		publish: func(t *testing.T, names []string) {
			text := fileSD(t, names)
			say(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Write(text) // fails if the prober was killed
			})
		},
		broken: []func(t *testing.T){
			func(*testing.T) {
				say(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			},
			func(*testing.T) {
				say(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			},
			func(*testing.T) {
				say(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, "[]") // as above
				})
			},
			func(*testing.T) { // slow: no answer comes
				late := make(chan struct{})
				say(func(http.ResponseWriter, *http.Request) { <-late })
				go func(again <-chan struct{}) { // ends with the next answer
					<-again
					close(late)
				}(next)
			},
		},
		alien: "probe-9",
	}
}

// byDNS is the answer of the DNS: the addresses of a headless Service, or SRV records.
func byDNS(s *dns.Server, answers map[string]dns.Reply, name string, names []string, reply func(names []string) dns.Reply) *list {
	say := func(r dns.Reply) {
		answers[name] = r
		now := make(map[string]dns.Reply)
		for name, r := range answers {
			now[name] = r
		}
		s.Say(func(name string, _ bool) dns.Reply {
			if r, ok := now[name]; ok {
				return r
			}
			return dns.Reply{Code: dnsmessage.RCodeNameError}
		})
	}
	return &list{
		members: fmt.Sprintf("dns = %q", name),
		names:   names,
		publish: func(_ *testing.T, names []string) { say(reply(names)) },
		broken: []func(t *testing.T){
			func(*testing.T) { say(dns.Reply{Code: dnsmessage.RCodeNameError}) },
			func(*testing.T) { say(dns.Reply{Code: dnsmessage.RCodeServerFailure}) },
			func(*testing.T) { say(dns.Reply{}) },
			func(*testing.T) { say(dns.Reply{Drop: true}) },
		},
		alien: "198.19.7.99",
	}
}

// addresses is the reply of a headless Service, services one with SRV records.
func addresses(names []string) dns.Reply { return dns.Addr(names...) }

func services(names []string) dns.Reply {
	var r dns.Reply
	for _, name := range names {
		r.Hosts = append(r.Hosts, name+".node.consul")
	}
	return r
}

// TestLists runs fleets whose probers know each other by lists of each kind, from real
// servers. Whatever happens to the server or the list, each prober keeps its part; one
// that is not in the list any more is dropped after two refreshes, and one that is not in
// it at all counts itself.
func TestLists(t *testing.T) {
	t.Parallel()
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		answers := make(map[string]dns.Reply)
		s := dns.Serve(t, func(string, bool) dns.Reply { return dns.Reply{} })
		ask := dns.Asking(t, "timeout:1 attempts:1")
		lists := map[string]*list{
			"file": byFile(t), "http": byHTTP(t),
			"dns A":   byDNS(s, answers, "pingtel.example", []string{"198.19.7.1", "198.19.7.2", "198.19.7.3"}, addresses),
			"dns SRV": byDNS(s, answers, "_pingtel._tcp.service.consul", []string{"probe-0", "probe-1", "probe-2"}, services),
		}
		fleets := make(map[string]*probers)
		for kind, l := range lists {
			l.publish(t, l.names)
			p := newProbers(t, "198.18.64.1-60", 60, 2, fmt.Sprintf("{ %s, refresh = %q }", l.members, listRefresh))
			p.file = strings.Replace(p.file, fmt.Sprintf("interval = %q", interval), `interval = "2s"`, 1)
			p.wrap = ask
			for _, name := range l.names {
				p.start(name)
			}
			fleets[kind] = p
		}
		for kind, p := range fleets {
			p.settle()
			owned := p.owned()
			if sum := sum(owned); sum != 120 {
				t.Errorf("%s: the probers own %d targets together, want each of 60 twice", kind, sum)
			}
			if zones := kind == "file" || kind == "http"; zones && owned["probe-1"] != 60 { // it is alone in its zone
				t.Errorf("%s: the probers own %v, want each target in both zones", kind, owned)
			}
		}
		breakLists(t, lists, fleets)
		shrinkLists(t, lists, fleets)
		for kind, p := range fleets {
			alien := p.start(lists[kind].alien)
			alien.Says(t, 0, "the list of the fleet's members does not have this prober")
			peer.Await(t, kind+": a prober that the list does not have counts itself", func() bool {
				return alien.Internal(t).Int("fleet_members") == 3
			})
		}
	})
}

func sum(owned map[string]int64) (sum int64) {
	for _, n := range owned {
		sum += n
	}
	return sum
}

// breakLists breaks all lists in each way. No prober's part may change.
func breakLists(t *testing.T, lists map[string]*list, fleets map[string]*probers) {
	for way := range 4 {
		from, before, said := time.Now(), make(map[string]map[string]int64), make(map[*peer.Service]int)
		for kind, p := range fleets {
			before[kind] = p.owned()
			for _, s := range p.running {
				said[s] = len(s.Text())
			}
			if way < len(lists[kind].broken) {
				lists[kind].broken[way](t)
			}
		}
		wait(4 * listRefresh)
		for kind, p := range fleets {
			if slow := kind == "http" && way == 3; way < len(lists[kind].broken) && !slow { // a slow server has half a minute
				for _, s := range p.running {
					s.Says(t, said[s], "the list of the fleet's members cannot be read: the last one stays in force")
				}
			}
			p.unchanged(before[kind], from)
			lists[kind].publish(t, lists[kind].names)
		}
		for kind, p := range fleets {
			p.await(kind+": the list is known again", p.fresh)
		}
	}
}

// shrinkLists kills a prober of each fleet and takes it out of the list.
func shrinkLists(t *testing.T, lists map[string]*list, fleets map[string]*probers) {
	at := time.Now()
	for kind, p := range fleets {
		l := lists[kind]
		last := l.names[2]
		p.running[last].Kill()
		p.gone(last)
		l.publish(t, slices.Clone(l.names[:2]))
	}
	for kind, p := range fleets {
		for _, s := range p.running {
			s.Says(t, 0, "probers of the fleet are missing")
		}
		if took := time.Since(at); took < 2*listRefresh-listRefresh/2 {
			t.Errorf("%s: dropped %v after the list was without it, want two refreshes", kind, took)
		}
		p.settle()
		if sum := sum(p.owned()); sum != 120 {
			t.Errorf("%s: the probers own %d targets together, want each of 60 twice", kind, sum)
		}
	}
}
