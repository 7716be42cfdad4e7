package discovery

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAPI behaves as the API of Kubernetes does for a list of nodes: pages by limit and
// continue, tokens that expire with 410 Gone, and 401 and 403 without the right token.
type fakeAPI struct {
	mu      sync.Mutex
	nodes   []string
	expired int // how many tokens to let expire
	pages   int
	query   []string
	status  int // of all answers; 0 as it should be
	never   bool
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	failure := func(code int, reason string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":%q,"code":%d}`, reason, code)
	}
	q := r.URL.Query()
	f.query = append(f.query, q.Get("labelSelector"))
	limit, err := strconv.Atoi(q.Get("limit"))
	from, _ := strconv.Atoi(strings.TrimPrefix(q.Get("continue"), "token-"))
	switch {
	case r.Header.Get("Authorization") != "Bearer account":
		failure(http.StatusUnauthorized, "Unauthorized")
		return
	case f.status != 0:
		failure(f.status, "Forbidden")
		return
	case r.Method != http.MethodGet || r.URL.Path != "/api/v1/nodes" || err != nil:
		failure(http.StatusBadRequest, "BadRequest")
		return
	case from > 0 && f.expired > 0:
		f.expired--
		failure(http.StatusGone, "Expired")
		return
	}
	f.pages++
	to := min(from+limit, len(f.nodes))
	next := ""
	if to < len(f.nodes) || f.never {
		next = fmt.Sprintf("token-%d", to)
	}
	meta, _ := json.Marshal(map[string]any{"resourceVersion": "7", "continue": next, "remainingItemCount": len(f.nodes) - to})
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"kind":"NodeList","apiVersion":"v1","metadata":%s,"items":[%s]}`, meta, strings.Join(f.nodes[from:to], ","))
}

func (f *fakeAPI) set(change func(*fakeAPI)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// nodeOf is a node as the API shows it, with much that does not matter here.
func nodeOf(name, addresses string) string {
	return fmt.Sprintf(`{"metadata":{"name":%q,"uid":"1","labels":{"topology.kubernetes.io/zone":"z1"},"annotations":{"x/y":"1"}},
"spec":{"podCIDR":"10.0.0.0/24","providerID":"kind://%s"},"status":{"capacity":{"cpu":"2"},"conditions":[{"type":"Ready","status":"True"}],"addresses":[%s],"nodeInfo":{"osImage":"Linux"}}}`, name, name, addresses)
}

func TestKubernetes(t *testing.T) {
	api := &fakeAPI{expired: 1}
	for i := range 1203 {
		api.nodes = append(api.nodes, nodeOf(fmt.Sprintf("n%d", i), fmt.Sprintf(`{"type":"Hostname","address":"n%d"},{"type":"InternalIP","address":"198.18.%d.%d"},{"type":"InternalIP","address":"2001:db8::%x"}`, i, i/250, i%250+1, i+1)))
	}
	api.nodes = append(api.nodes, nodeOf("named", `{"type":"Hostname","address":"named.example"}`), nodeOf("none", ""))
	srv := newServer(t, true)
	srv.answer(api.ServeHTTP)
	account := t.TempDir()
	write(t, filepath.Join(account, "token"), "account")
	write(t, filepath.Join(account, "ca.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	host, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	c := parse(t, `[agent]
max_targets = 1300
[[targets]]
kubernetes = "nodes"
label_selector = "kubernetes.io/os=linux"
tags = { node = "__meta_kubernetes_node_name", zone = "__meta_kubernetes_node_label_topology_kubernetes_io_zone", id = "__meta_kubernetes_node_provider_id" }
`)
	c.Sources[0].Refresh = 50 * time.Millisecond // sooner than a file may ask for
	s, log := start(t, c, Options{system: system{account: account, getenv: func(name string) string { return env[name] }}})
	await(t, "a list", func() bool { return s.Without() == nil })
	st := s.Status()[0]
	if len(s.Targets()) != 1204 || st.Refused != 1 || len(st.Faults) != 1 || st.Faults[0] != "node none: has no address" {
		t.Fatalf("%d targets, %+v, log %s", len(s.Targets()), st.Faults, log)
	}
	if got := lines(s.Targets()); got[0] != "198.18.0.1 id=kind://n0 node=n0 zone=z1" || got[1203] != "named.example id=kind://named node=named zone=z1" {
		t.Errorf("targets %q and %q", got[0], got[1203])
	}
	api.set(func(f *fakeAPI) {
		if f.pages < 4 || slices.Contains(f.query, "") {
			t.Errorf("%d pages, selectors %q", f.pages, f.query)
		}
		f.status = http.StatusForbidden
	})
	awaitError(t, s, "403 Forbidden: want a ServiceAccount whose role may list nodes")
	api.set(func(f *fakeAPI) { f.status, f.expired = 0, 1000000 })
	awaitError(t, s, "the next page has expired")
	api.set(func(f *fakeAPI) { f.expired, f.never = 0, true })
	awaitError(t, s, "a page without an end")
	api.set(func(f *fakeAPI) { f.never = false; f.nodes = append(f.nodes, f.nodes[:200]...) })
	awaitError(t, s, "there are more nodes than agent.max_targets, 1300")
	write(t, filepath.Join(account, "token"), "old")
	awaitError(t, s, "401 Unauthorized")
	if len(s.Targets()) != 1204 {
		t.Errorf("%d targets after all that", len(s.Targets()))
	}
	write(t, filepath.Join(account, "token"), "account")
	api.set(func(f *fakeAPI) { f.nodes = f.nodes[:1] })
	awaitHosts(t, s, "198.18.0.1")
}

// TestNoPod has no API.
func TestNoPod(t *testing.T) {
	s, _ := start(t, parse(t, "[[targets]]\nkubernetes = \"nodes\"\n"), Options{system: system{getenv: func(string) string { return "" }}})
	awaitError(t, s, "this is not a pod")
}
