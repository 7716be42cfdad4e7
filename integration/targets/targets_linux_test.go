package targets

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/pingtel/pingtel/integration/dns"
	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

const interval = time.Second

// kinds are the sources of the test, in the order of the file. Each has the hosts .1 and
// .2 all the time, and a third one that changes.
var kinds = []string{"json", "yaml", "text", "configmap", "http", "srv", "names", "nodes"}

// host returns the address n of a source.
func host(kind string, n int) string {
	for i, k := range kinds {
		if k == kind {
			return fmt.Sprintf("198.18.%d.%d", i+1, n)
		}
	}
	panic("no such source: " + kind)
}

// rig has a pingtel with sources of all kinds.
type rig struct {
	*peer.Service
	t    *testing.T
	dir  string
	web  *server
	api  *server
	late *server // of a source that is slow from its second answer on
	dns  *dns.Server
	file string // the configuration
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	for _, dir := range []string{"account", "json", "yaml", "text", "configmap"} {
		r.must(os.Mkdir(r.path(dir), 0o755))
	}
	r.put("bearer", token)
	r.web = newServer(t, false, guarded(list(groups("http", 1, 2, 10))))
	r.api = newServer(t, true, nodes(host("nodes", 1), host("nodes", 2), host("nodes", 10)))
	r.api.account(r.path("account"))
	r.late = newServer(t, false, plain(`[{"targets": ["198.18.100.1"]}]`))
	r.dns = dns.Serve(t, r.answers(10))
	for _, kind := range []string{"json", "yaml", "text"} {
		r.write(kind, r.whole(kind, 10))
	}
	r.swap("one", 10)
	r.must(os.Symlink("..data/targets.json", r.path("configmap/targets.json")))
	r.file = fmt.Sprintf(`[agent]
interval = "1s"
state = %q
[defaults]
count = 1
timeout = "500ms"
`, r.path("state"))
	for _, place := range []string{
		fmt.Sprintf("file = %q", r.path("json/t.json")), fmt.Sprintf("file = %q", r.path("yaml/*.yml")), fmt.Sprintf("file = %q", r.path("text/t.txt")),
		fmt.Sprintf("file = %q", r.path("configmap/targets.json")), fmt.Sprintf("http = \"http://%s/targets\"\nbearer_file = %q", r.web.address, r.path("bearer")),
		`dns = "_ping._tcp.test"`, `dns = "all.test"`, `kubernetes = "nodes"`, fmt.Sprintf("http = \"http://%s/\"", r.late.address),
	} {
		r.file += "[[targets]]\n" + place + "\nrefresh = \"1s\"\n"
	}
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

// put puts a file into the place of another.
func (r *rig) put(name, text string) {
	r.t.Helper()
	r.must(os.WriteFile(r.path(name)+".new", []byte(text), 0o600))
	r.must(os.Rename(r.path(name)+".new", r.path(name)))
}

// write replaces the file of a source.
func (r *rig) write(kind, text string) {
	r.t.Helper()
	r.put(map[string]string{"json": "json/t.json", "yaml": "yaml/t.yml", "text": "text/t.txt"}[kind], text)
}

// whole is the list of a file, with a third host.
func (r *rig) whole(kind string, third int) string {
	a, b, c := host(kind, 1), host(kind, 2), host(kind, third)
	switch kind {
	case "yaml":
		return fmt.Sprintf("- targets: ['%s:9100', %q]\n- targets:\n  - %s\n", a, b, c)
	case "text":
		return fmt.Sprintf("# hosts\n%s\n%s\n%s\n", a, b, c)
	}
	return groups(kind, 1, 2, third)
}

// groups is a list in JSON.
func groups(kind string, numbers ...int) string {
	var all []string
	for _, n := range numbers {
		all = append(all, fmt.Sprintf(`{"targets": ["%s:9100"], "labels": {"__meta_n": "%d"}}`, host(kind, n), n))
	}
	return "[" + strings.Join(all, ",\n") + "]"
}

// swap changes the file of the ConfigMap as a kubelet does: by the link to its folder.
func (r *rig) swap(folder string, third int) {
	r.t.Helper()
	r.must(os.Mkdir(r.path("configmap/.."+folder), 0o755))
	r.must(os.WriteFile(r.path("configmap/.."+folder+"/targets.json"), []byte(groups("configmap", 1, 2, third)), 0o600))
	r.link(folder)
}

func (r *rig) link(folder string) {
	r.t.Helper()
	r.must(os.Symlink(".."+folder, r.path("configmap/..tmp")))
	r.must(os.Rename(r.path("configmap/..tmp"), r.path("configmap/..data")))
}

// answers is what the DNS says, with a third host.
func (r *rig) answers(third int) dns.Rule {
	return func(name string, ipv6 bool) dns.Reply {
		var n int
		switch {
		case name == "_ping._tcp.test":
			return dns.Reply{Hosts: []string{"n1.test", "n2.test", fmt.Sprintf("n%d.test", third)}}
		case name == "all.test" && ipv6:
			return dns.Reply{}
		case name == "all.test":
			return dns.Addr(host("names", 1), host("names", 2), host("names", third))
		case strings.HasPrefix(name, "n"):
			if _, err := fmt.Sscanf(name, "n%d.test", &n); err == nil && !ipv6 {
				return dns.Addr(host("srv", n))
			}
			return dns.Reply{}
		}
		return dns.Reply{Code: dnsmessage.RCodeNameError}
	}
}

// hosts returns the hosts of a source as pingtel writes them: the first n.
func hosts(kind string, numbers ...int) (all []string) {
	for _, n := range numbers {
		h := host(kind, n)
		if kind == "srv" {
			h = fmt.Sprintf("n%d.test", n)
		}
		all = append(all, h)
	}
	return all
}

// all returns hosts of all sources.
func all(numbers ...int) (list []string) {
	for _, kind := range kinds {
		list = append(list, hosts(kind, numbers...)...)
	}
	return list
}

// start starts pingtel where it asks the test's DNS server, and is in a pod of the cluster.
func (r *rig) start() {
	r.t.Helper()
	r.must(os.WriteFile(r.path("resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), 0o644))
	const script = `mount --bind "$1" /etc/resolv.conf && mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io &&
cp -r "$2" /run/secrets/kubernetes.io/serviceaccount && shift 2 && exec "$@"`
	r.Service = peer.StartService(r.t, r.file, func(args ...string) *exec.Cmd {
		cmd := exec.Command("unshare", append([]string{"--mount", "sh", "-c", script, "sh", r.path("resolv.conf"), r.path("account")}, args...)...)
		host, port, _ := strings.Cut(r.api.address, ":")
		cmd.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port)
		return cmd
	})
}

// logged waits for a warning about a source, which says what is wrong.
func (r *rig) logged(from int, source, what string) {
	r.t.Helper()
	peer.Await(r.t, fmt.Sprintf("a line about %s: %s", source, what), func() bool {
		for line := range strings.Lines(r.Text()[from:]) {
			if strings.HasPrefix(line, "W! ") && strings.Contains(line, source) && strings.Contains(line, what) {
				return true
			}
		}
		return false
	}, r.Process)
}

// gone waits until hosts have no more series.
func (r *rig) gone(list ...string) {
	r.t.Helper()
	peer.Await(r.t, fmt.Sprintf("an end of %v", list), func() bool {
		from := time.Now()
		r.More(r.t, 2, all(1)...)
		for _, h := range list {
			if of := r.Of(r.t, h); len(of) == 0 || of[len(of)-1].At.After(from) {
				return false
			}
		}
		return true
	})
}

// TestSources runs pingtel with sources of all kinds, and lets each change, fail and lie.
func TestSources(t *testing.T) {
	netsim.Run(t, []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: time.Millisecond}}, func(t *testing.T, _ *netsim.Net) {
		r := newRig(t)
		r.start()
		r.More(t, 2, all(1, 2, 10)...)
		for _, kind := range []string{"json", "yaml", "text"} {
			r.write(kind, r.whole(kind, 11))
		}
		r.swap("two", 11)
		r.web.say(guarded(list(groups("http", 1, 2, 11))))
		r.dns.Say(r.answers(11))
		r.api.say(nodes(host("nodes", 1), host("nodes", 2), host("nodes", 11)))
		r.More(t, 2, all(11)...)
		r.gone(all(10)...)

		r.late.say(slow) // it takes half a minute to notice
		slowFrom := len(r.Text())
		r.trouble()
		r.logged(slowFrom, r.late.address, "no complete answer within 30s")

		peak := peer.Status(t, r.Pid(), "VmHWM")
		t.Logf("%d MiB at most; %d MiB of endless answers were taken", peak>>10, (r.web.sent.Load()+r.api.sent.Load())>>20)
		if peak > 512<<10 { // several endless answers at once, each cut off at its bound, and what the collector has not freed yet
			t.Errorf("pingtel took %d MiB", peak>>10)
		}
		points := r.Points(t)
		for _, h := range all(1, 2, 11) {
			peer.CheckSteady(t, peer.Of(points, h), interval, points)
		}
		for _, kind := range kinds {
			if text := fmt.Sprint(peer.Of(points, hosts(kind, 1)[0])[0].Tags); strings.Contains(text, kind) || strings.Contains(text, "meta") {
				t.Errorf("the tags tell where the target is from: %s", text)
			}
		}
		r.restart()
	})
}

// restart starts pingtel again without any source. It goes on with the last lists.
func (r *rig) restart() {
	r.Kill()
	for _, s := range []*server{r.web, r.api, r.late} {
		s.kill()
	}
	r.dns.Say(func(name string, ipv6 bool) dns.Reply {
		if strings.HasPrefix(name, "n") {
			return r.answers(11)(name, ipv6) // names are still looked up
		}
		return dns.Reply{Code: dnsmessage.RCodeServerFailure}
	})
	for _, dir := range []string{"json", "yaml", "text", "configmap"} {
		r.must(os.RemoveAll(r.path(dir)))
	}
	r.start()
	r.More(r.t, 2, append(all(1, 2, 11), "198.18.100.1")...)
	for _, source := range []string{"t.json", "*.yml", "t.txt", "targets.json", r.web.address, "_ping._tcp.test", "all.test", "kubernetes nodes", r.late.address} {
		r.logged(0, source, "a source starts from the copy of its last list")
	}
}

// trouble lets the sources fail and lie, one way after the other. Each time the log must
// say so, and the targets stay. In the end all are well again.
func (r *rig) trouble() {
	other := newServer(r.t, false, guarded(list("[]")))
	loop := func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/again", http.StatusFound) }
	web, api := r.web.address, "kubernetes nodes"
	for _, x := range []struct {
		kind, source, want string
		do                 func()
	}{
		{"json", "t.json", "ends too early", func() { r.write("json", r.whole("json", 12)[:70]) }},
		{"json", "t.json", "is empty", func() { r.write("json", "") }},
		{"json", "t.json", "no such file", func() { r.must(os.Remove(r.path("json/t.json"))) }},
		{"yaml", "*.yml", "did not find expected", func() { r.write("yaml", "- targets: [") }},
		{"yaml", "*.yml", "no file matches", func() { r.must(os.Remove(r.path("yaml/t.yml"))) }},
		{"text", "t.txt", "has no host", func() { r.write("text", "# none\n") }},
		{"text", "t.txt", "no such file", func() { r.must(os.RemoveAll(r.path("text"))) }},
		{"configmap", "targets.json", "no such file", func() { r.link("three") }},
		{"http", web, "500 Internal Server Error", func() { r.web.say(failing(http.StatusInternalServerError)) }},
		{"http", web, "want a token", func() { r.web.say(failing(http.StatusForbidden)) }},
		{"http", web, "want [ at its begin", func() { r.web.say(plain("<html>")) }},
		{"http", web, "redirects more than 5 times", func() { r.web.say(loop) }},
		{"http", web, "401 Unauthorized", func() { r.web.say(http.RedirectHandler(other.URL, http.StatusFound).ServeHTTP) }},
		{"http", web, "is larger than 64 MiB", func() {
			r.web.say(r.web.endless("[{}", `, {"targets": ["198.18.90.1"], "labels": {"__x": "`+strings.Repeat("x", 9000)+`"}}`))
		}},
		{"http", web, "is larger than 8 MiB", func() { r.web.say(r.web.endless(`[{"targets": ["`, "x")) }},
		{"http", web, "longer than agent.max_targets, 100000", func() { r.web.say(r.web.endless(`[{}`, `, {"targets": ["198.18.90.1"]}`)) }},
		{"http", web, "connection refused", r.web.kill},
		{"srv", "_ping._tcp.test", "there is no such name", func() { r.dns.Say(r.broken(dnsmessage.RCodeNameError)) }},
		{"names", "all.test", "there is no such name", func() {}},
		{"names", "all.test", "the DNS does not answer", func() { r.dns.Say(r.broken(dnsmessage.RCodeServerFailure)) }},
		{"srv", "_ping._tcp.test", "the DNS does not answer", func() {}},
		{"nodes", api, "whose role may list nodes", func() { r.api.say(failing(http.StatusForbidden)) }},
		{"nodes", api, "want a NodeList", func() { r.api.say(plain(`{"kind": "Status"}`)) }},
		{"nodes", api, "a page without an end", func() { r.api.say(plain(`{"kind": "NodeList", "metadata": {"continue": "x"}, "items": []}`)) }},
		{"nodes", api, "is larger than 64 MiB", func() { r.api.say(r.api.endless(`{"kind": "NodeList", "items": ["`, "x")) }},
		{"nodes", api, "connection refused", r.api.kill},
	} {
		from := len(r.Text())
		if x.want == "there is no such name" || x.want == "the DNS does not answer" {
			from = 0 // two sources at once
		}
		x.do()
		r.logged(from, x.source, x.want)
		r.More(r.t, 1, hosts(x.kind, 1, 2, 11)...)
	}
	if q := other.last.Load(); q == nil || q.Header.Get("Authorization") != "" {
		r.t.Errorf("the other server was asked with %v", q)
	}
	from := len(r.Text())
	r.must(os.Mkdir(r.path("text"), 0o755))
	for _, kind := range []string{"json", "yaml", "text"} {
		r.write(kind, r.whole(kind, 11))
	}
	r.link("two")
	r.web.say(guarded(list(groups("http", 1, 2, 11))))
	r.web.start()
	r.api.say(nodes(host("nodes", 1), host("nodes", 2), host("nodes", 11)))
	r.api.start()
	r.api.account(r.path("account"))
	r.dns.Say(r.answers(11))
	peer.Await(r.t, "all sources can be read again", func() bool {
		return strings.Count(r.Text()[from:], "a source can be read again") >= len(kinds)
	}, r.Process)
}

// broken is a DNS that fails for the sources, while the hosts still have their addresses.
func (r *rig) broken(code dnsmessage.RCode) dns.Rule {
	whole := r.answers(11)
	return func(name string, ipv6 bool) dns.Reply {
		if name == "all.test" || strings.HasPrefix(name, "_") {
			return dns.Reply{Code: code}
		}
		return whole(name, ipv6)
	}
}
