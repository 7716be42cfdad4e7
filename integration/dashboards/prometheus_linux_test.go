package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

const (
	prometheusURL = "http://localhost:9090"
	scraped       = "127.0.0.1:9473"
)

// TestPrometheus runs every query of the Prometheus dashboards and rules. One prober
// is scraped and pushes too, with the default histogram; another one pushes native
// histograms. Each of the three must fill every panel, before the recording rules are
// loaded and with them.
func TestPrometheus(t *testing.T) {
	peer.Prometheus(t)
	var moved atomic.Bool
	netsim.Run(t, network(&moved), func(t *testing.T, _ *netsim.Net) {
		conf := write(t, "prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
otlp: {promote_resource_attributes: [service.instance.id]}
rule_files: [rules/*.yaml]
scrape_configs: [{job_name: pingtel, static_configs: [{targets: [%q]}]}]
`, scraped))
		server := startPrometheus(t, conf)
		const push = "[otel]\ninterval = \"1s\"\nprotocol = \"http/protobuf\"\nendpoint = \"" + prometheusURL + "/api/v1/otlp/v1/metrics\"\n"
		classic := peer.Start(t, exec.Command(peer.Pingtel(), "serve", "--config",
			pingtelFile(t, 56, push+"enabled = true\nresource = { \"service.instance.id\" = \"pushed\" }\n[web]\nlisten = \""+scraped+"\"\n")))
		native := peer.Start(t, exec.Command(peer.Pingtel(), "otel", "--config",
			pingtelFile(t, 57, push+"histogram = \"exponential\"\nresource = { \"service.instance.id\" = \"native\" }\n")))
		of := []*peer.Process{server, classic, native}
		awaitValue(t, "five series of every target", fmt.Sprintf(`count(ping_requests_total{server_address=%q} >= 25) == 3`, losesSome), of...)
		moved.Store(true)
		awaitValue(t, "the new path", fmt.Sprintf(`count(ping_ttl{server_address=%q} == 52 and changes(ping_ttl[1m]) >= 1) == 3`, moves), of...)
		awaitValue(t, "twelve seconds of the new path", fmt.Sprintf(`count(min_over_time(ping_ttl{server_address=%q}[12s]) == 52 and max_over_time(ping_ttl[12s]) == 52) == 3`, moves), of...)

		checkBoards(t, "rules not loaded", ".+")
		loadRules(t, filepath.Join(filepath.Dir(conf), "rules"), server)
		checkRules(t)
		checkBoards(t, "rules loaded", "")
		checkChoice(t)
		for _, p := range []*peer.Process{classic, native} {
			if _, status := p.Stop(); status != 0 {
				t.Errorf("status %d:\n%s", status, p.Text())
			}
		}
	})
}

func startPrometheus(t *testing.T, conf string) *peer.Process {
	t.Helper()
	server := peer.Start(t, exec.Command(peer.Prometheus(t), "--config.file="+conf, "--web.enable-otlp-receiver",
		"--web.listen-address=localhost:9090", "--storage.tsdb.path="+t.TempDir()))
	peer.Await(t, "Prometheus is ready", func() bool {
		r, err := http.Get(prometheusURL + "/-/ready")
		return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
	}, server)
	return server
}

// awaitValue waits until a query returns something.
func awaitValue(t *testing.T, what, query string, of ...*peer.Process) {
	t.Helper()
	peer.Await(t, what, func() bool {
		r, err := instant(query, "")
		if err != nil {
			t.Fatal(err)
		}
		return len(r) > 0
	}, of...)
}

// loadRules makes Prometheus read the rules, all of which it then evaluates in each
// second.
func loadRules(t *testing.T, dir string, server *peer.Process) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"recording.yaml", "recording-old-names.yaml", "alerts.prometheus.yaml"} {
		text, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "interval: 4m", "interval: 1s"))
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server.Signal(syscall.SIGHUP)
	awaitValue(t, "recorded series of all probers", `count(count by (instance) (fleet:ping_requests:rate5m)) == 3`, server)
	// what the graphs show is what the rules have recorded: some seconds of it
	awaitValue(t, "recorded series over ten seconds", `count_over_time(fleet:ping_requests:rate5m{instance="scraped"}[1m]) >= 10 or
		count_over_time(fleet:ping_requests:rate5m{instance="`+scraped+`",site="lab"}[1m]) >= 10`, server)
}

// get asks Prometheus' API and decodes what is in data.
func get(path string, query url.Values, data any) error {
	r, err := http.Get(prometheusURL + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer r.Body.Close()
	var answer struct {
		Error    string
		Warnings []string
		Infos    []string
		Data     json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" || len(answer.Warnings) > 0 {
		return fmt.Errorf("%s: %s %v", query, answer.Error, answer.Warnings)
	}
	return json.Unmarshal(answer.Data, data)
}

// vector is the data of a query.
type vector struct {
	Result []struct {
		Metric     map[string]string
		Value      *[2]any
		Values     [][2]any
		Histogram  *[2]any
		Histograms [][2]any
	}
}

func (v vector) series(ref string) (result, error) {
	var all result
	for _, r := range v.Result {
		s := series{ref: ref, name: r.Metric["__name__"], labels: r.Metric, histograms: len(r.Histograms)}
		if r.Value != nil {
			r.Values = append(r.Values, *r.Value)
		}
		if r.Histogram != nil {
			s.histograms++
		}
		for _, p := range r.Values {
			text, ok := p[1].(string)
			if !ok {
				return nil, fmt.Errorf("the value %v", p)
			}
			f, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, err
			}
			if f == f { // Grafana does not show NaN
				s.values = append(s.values, f)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func instant(query, ref string) (result, error) {
	var v vector
	if err := get("/api/v1/query", url.Values{"query": {query}}, &v); err != nil {
		return nil, err
	}
	return v.series(ref)
}

// ranged asks for the last minute.
func ranged(query, ref string) (result, error) {
	const steps, step = 30, 2
	now := time.Now().Unix()
	var v vector
	if err := get("/api/v1/query_range", url.Values{"query": {query}, "step": {strconv.Itoa(step)},
		"start": {strconv.FormatInt(now-steps*step, 10)}, "end": {strconv.FormatInt(now, 10)}}, &v); err != nil {
		return nil, err
	}
	return v.series(ref)
}

// run runs the queries of a panel.
func (p panel) run(v values) (result, error) {
	var all result
	for _, q := range p.Targets {
		query, err := v.fill(q.Expr)
		if err != nil {
			return nil, err
		}
		ask := ranged
		if q.Instant {
			ask = instant
		}
		r, err := ask(query, q.RefID)
		if err != nil {
			return nil, err
		}
		all = append(all, r...)
	}
	return all, nil
}

// checkBoards checks both dashboards with each prober.
func checkBoards(t *testing.T, state, raw string) {
	fleet, target := readBoard(t, "prometheus-fleet.json"), readBoard(t, "prometheus-target.json")
	for _, prober := range []string{scraped, "pushed", "native"} {
		t.Run(state+", prober "+prober, func(t *testing.T) {
			v := values{"prober": prober, "tag": "job", "value": ".*", "dscp": ".*", "raw": raw,
				"__rate_interval": "10s", "__interval": "2s", "__range": "15m"} // the change of path stays in it, also on a busy machine
			checkVariables(t, fleet, v, map[string][]string{
				"prober": {scraped, "native", "pushed"}, "value": {"pingtel"}, "dscp": {"46"}, "raw": strings.Fields(raw)})
			mustProve(t, fleet, checkPanels(t, fleet, prometheusFleet(prober), func(p panel) (result, error) { return p.run(v) }))
			checkVariables(t, target, v.with("host", answers), map[string][]string{
				"prober": {scraped, "native", "pushed"}, "value": {"pingtel"}, "host": everyHost, "dscp": {"46"}})
			for _, host := range []string{moves, messy} {
				v := v.with("host", host)
				mustProve(t, target, checkPanels(t, target, prometheusTarget(host), func(p panel) (result, error) { return p.run(v) }))
			}
		})
	}
}

// checkVariables runs the query of each variable of a dashboard as Grafana does, and
// checks the values to choose from.
func checkVariables(t *testing.T, b board, v values, want map[string][]string) {
	t.Helper()
	call := func(query string) (function, argument string) {
		function, argument, _ = strings.Cut(strings.TrimSuffix(query, ")"), "(")
		return function, argument
	}
	for _, variable := range b.Templating.List {
		if variable.Type == "datasource" {
			continue
		}
		query, err := v.fill(variable.Query)
		if err != nil {
			t.Error(err)
			continue
		}
		var found []string
		switch function, argument := call(query); function {
		case "label_names":
			err = get("/api/v1/labels", url.Values{"match[]": {`{__name__=~".*` + argument + `.*"}`}}, &found)
		case "label_values":
			at := strings.LastIndex(argument, ", ")
			err = get("/api/v1/label/"+argument[at+2:]+"/values", url.Values{"match[]": {argument[:at]}}, &found)
		case "query_result":
			var r result
			r, err = instant(argument, "")
			for _, s := range r {
				found = append(found, fmt.Sprintf(`{raw=%q} %v`, s.labels["raw"], s.last()))
			}
		default:
			err = errors.New("a function that is not known")
		}
		if err != nil {
			t.Errorf("%s, variable %s: %v", b.file, variable.Name, err)
			continue
		}
		got := variable.choose(t, found)
		if variable.Name == "tag" {
			if !slices.Contains(got, "site") || !slices.Contains(got, "job") || slices.Contains(got, "server_address") || slices.Contains(got, "__name__") {
				t.Errorf("%s: tags %v", b.file, got)
			}
			continue
		}
		slices.Sort(got)
		if wanted := slices.Sorted(slices.Values(want[variable.Name])); !slices.Equal(got, wanted) {
			t.Errorf("%s, variable %s: %q, want %q", b.file, variable.Name, got, wanted)
		}
	}
}

// checkChoice chooses by a tag, by DSCP and of several probers.
func checkChoice(t *testing.T) {
	fleet := readBoard(t, "prometheus-fleet.json")
	all := values{"prober": scraped, "tag": "job", "value": ".*", "dscp": ".*", "raw": "", "__rate_interval": "10s", "__range": "60s"}
	for _, tt := range []struct {
		v    values
		want float64
	}{
		{all, 9},
		{all.with("tag", "site", "value", "(fra)"), 3},
		{all.with("tag", "site", "value", "(fra|lab)"), 9},
		{all.with("dscp", "(46)"), 2},
		{all.with("dscp", "(46)", "tag", "site", "value", "(lab)"), 0},
		{all.with("prober", "(pushed|native)"), 18},
	} {
		for _, p := range fleet.Panels {
			if p.Title != "Targets" && p.Title != "Echo requests per second" {
				continue
			}
			r, err := p.run(tt.v)
			if err == nil && p.Title == "Targets" {
				err = one(exactly(tt.want))(r)
			} else if err == nil && (len(r) > 0) != (tt.want > 0) {
				err = errors.New("series or no series")
			}
			if err != nil {
				t.Errorf("%s with %v: %v\n%v", p.Title, tt.v, err, r)
			}
		}
	}
}
