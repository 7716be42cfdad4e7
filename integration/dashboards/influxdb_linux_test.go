package dashboards

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestInfluxDB runs every query of the InfluxDB dashboards and of the alerts in
// docs/dashboards.md. The figures come from pingtel through Telegraf.
func TestInfluxDB(t *testing.T) {
	telegraf := peer.Telegraf(t)
	influxd := peer.InfluxDB(t)
	var moved atomic.Bool
	netsim.Run(t, network(&moved), func(t *testing.T, _ *netsim.Net) {
		db := peer.StartInfluxDB(t, influxd)
		conf := "[agent]\n  hostname = \"probe1\"\n  flush_interval = \"200ms\"\n  flush_jitter = \"0s\"\n"
		for _, file := range []string{"execd.conf", "influxdb.conf"} {
			text, err := os.ReadFile(filepath.Join("../telegraf", file))
			if err != nil {
				t.Fatal(err)
			}
			conf += string(text)
		}
		file := pingtelFile(t, 56, "[telegraf]\npercentiles = [10, 25, 50, 75, 90, 95, 99]\n")
		conf = strings.NewReplacer("/usr/bin/pingtel", peer.Pingtel(), "/etc/pingtel/pingtel.toml", file).Replace(conf)
		p := peer.Start(t, exec.Command(telegraf, "--config", write(t, "telegraf.conf", conf)))
		await := func(what, query string) {
			t.Helper()
			peer.Await(t, what, func() bool {
				r, err := influx(query, "")
				return err == nil && len(r) > 0 && r[0].last() > 0
			}, db, p)
		}
		await("six series", fmt.Sprintf(`SELECT count("v") FROM (SELECT count("result_code") AS "v" FROM "ping" WHERE "url" = '%s') WHERE "v" >= 6`, unknown))
		moved.Store(true)
		await("six series of the new path", fmt.Sprintf(`SELECT count("v") FROM (SELECT count("ttl") AS "v" FROM "ping" WHERE "url" = '%s' AND "ttl" = 52) WHERE "v" >= 6`, moves))

		v := values{"prober": ".*", "tag": "url", "value": ".*", "dscp": ".*", "timeFilter": "time > now() - 2m", "__interval": "2s"}
		fleet, target := readBoard(t, "influxdb-fleet.json"), readBoard(t, "influxdb-target.json")
		run := func(v values) func(panel) (result, error) {
			return func(p panel) (result, error) { return p.runInflux(v) }
		}
		tags := []string{"address", "dscp", "host", "site", "url"}
		checkInfluxVariables(t, fleet, v, map[string][]string{"prober": {"probe1"}, "tag": tags, "value": everyHost, "dscp": {"46"}})
		mustProve(t, fleet, checkPanels(t, fleet, influxFleet(), run(v)))
		proved := map[string]bool{}
		for _, host := range []string{moves, messy, unreachable, unknown} {
			v := v.with("host", host)
			checkInfluxVariables(t, target, v, map[string][]string{"prober": {"probe1"}, "tag": tags, "value": everyHost, "host": everyHost, "dscp": {"46"}})
			maps.Copy(proved, checkPanels(t, target, influxTarget(host), run(v)))
		}
		mustProve(t, target, proved)
		checkInfluxChoice(t, fleet, v)
		checkInfluxAlerts(t)
		p.Stop()
		db.Stop()
	})
}

// influx runs a query and returns a series for each column of each series that came
// back. A column of text that says which host a row is of makes a series of each row.
func influx(query, ref string) (result, error) {
	resp, err := http.Get(peer.InfluxURL + "/query?" + url.Values{"db": {"telegraf"}, "q": {query}}.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var got struct {
		Error   string
		Results []struct {
			Error  string
			Series []struct {
				Tags    map[string]string
				Columns []string
				Values  [][]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return nil, err
	}
	if got.Error != "" || len(got.Results) != 1 || got.Results[0].Error != "" {
		return nil, fmt.Errorf("%s: %+v", query, got)
	}
	var all result
	for _, s := range got.Results[0].Series {
		if at := slices.Index(s.Columns, "url"); at >= 0 {
			for _, row := range s.Values {
				labels := map[string]string{"url": fmt.Sprint(row[at])}
				all = append(all, columns(ref, labels, s.Columns, [][]any{row})...)
			}
			continue
		}
		all = append(all, columns(ref, s.Tags, s.Columns, s.Values)...)
	}
	return all, nil
}

func columns(ref string, labels map[string]string, names []string, rows [][]any) result {
	var all result
	for i, name := range names {
		if name == "time" || name == "url" || name == "address" {
			continue
		}
		s := series{ref: ref, name: name, labels: labels}
		for _, row := range rows {
			switch v := row[i].(type) {
			case float64:
				s.values = append(s.values, v)
			case string:
				s.texts = append(s.texts, v)
			}
		}
		all = append(all, s)
	}
	return all
}

func (p panel) runInflux(v values) (result, error) {
	var all result
	for _, q := range p.Targets {
		query, err := v.fill(q.Query)
		if err != nil {
			return nil, err
		}
		r, err := influx(query, q.RefID)
		if err != nil {
			return nil, err
		}
		all = append(all, r...)
	}
	return all, nil
}

// checkInfluxVariables runs the query of each variable and checks the values to choose
// from.
func checkInfluxVariables(t *testing.T, b board, v values, want map[string][]string) {
	t.Helper()
	for _, variable := range b.Templating.List {
		if variable.Type == "datasource" {
			continue
		}
		query, err := v.fill(variable.Query)
		if err != nil {
			t.Error(err)
			continue
		}
		r, err := influx(query, "")
		var got []string
		for _, s := range r {
			if s.name == "value" || s.name == "tagKey" {
				got = append(got, s.texts...)
			}
		}
		slices.Sort(got)
		if wanted := slices.Sorted(slices.Values(want[variable.Name])); err != nil || !slices.Equal(got, wanted) {
			t.Errorf("%s, variable %s: %q, want %q (%v)", b.file, variable.Name, got, wanted, err)
		}
	}
}

// checkInfluxChoice chooses by a tag, by DSCP and by prober.
func checkInfluxChoice(t *testing.T, fleet board, all values) {
	t.Helper()
	for _, tt := range []struct {
		v    values
		want float64
	}{
		{all.with("tag", "site", "value", "(fra)"), 3},
		{all.with("tag", "site", "value", "(fra|lab)"), 9},
		{all.with("dscp", "(46)"), 2},
		{all.with("prober", "(probe1)"), 9},
		{all.with("prober", "(probe2)"), 0},
	} {
		for _, p := range fleet.Panels {
			if p.Title != "Targets" {
				continue
			}
			r, err := p.runInflux(tt.v)
			if tt.want > 0 && err == nil {
				err = one(exactly(tt.want))(r)
			} else if err == nil && len(r) > 0 {
				err = errors.New("it should be empty")
			}
			if err != nil {
				t.Errorf("%s with %v: %v\n%v", p.Title, tt.v, err, r)
			}
		}
	}
}
