package dashboards

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

const alertmanagerAddress = "127.0.0.1:9093"

// TestInhibition: of two probers one loses all its targets, and sees them again. A real
// Alertmanager with dashboards/alertmanager.yaml says nothing about the targets of that
// prober meanwhile. It does say what the other one sees, and before and after what both
// see.
func TestInhibition(t *testing.T) {
	peer.Prometheus(t)
	path := peer.Alertmanager(t)
	const down, blindSize, otherSize = "198.18.1.1", 56, 57 // of their payloads, by which the network tells the probers apart
	var blind atomic.Bool
	rules := []netsim.Rule{
		{Prefix: netip.MustParsePrefix(down + "/32"), Answer: netsim.Lost},
		{Prefix: netip.MustParsePrefix("198.18.1.0/24"), Answer: func(r netsim.Request) []netsim.Packet {
			if blind.Load() && len(r.Payload) == blindSize {
				return netsim.Lost(r)
			}
			return netsim.True(r)
		}},
	}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		alertmanager := startAlertmanager(t, path)
		var probers []*peer.Process
		for listen, size := range map[string]int{"127.0.0.1:9473": blindSize, "127.0.0.1:9474": otherSize} {
			probers = append(probers, peer.Start(t, exec.Command(peer.Pingtel(), "serve", "--config", write(t, "pingtel.toml", fmt.Sprintf(`
[agent]
interval = "1s"
[defaults]
count = 1
size = %d
timeout = "900ms"
[web]
listen = %q
[[targets]]
hosts = ["198.18.1.1-4"]
`, size, listen)))))
		}
		dir := t.TempDir()
		for _, file := range []string{"recording.yaml", "alerts.prometheus.yaml"} {
			text, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil {
				t.Fatal(err)
			}
			text = regexp.MustCompile(`for: \d+m`).ReplaceAll(text, []byte("for: 1s"))
			if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		server := startPrometheus(t, write(t, "prometheus.yaml", fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s/*.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}
scrape_configs: [{job_name: pingtel, static_configs: [{targets: ["127.0.0.1:9473", "127.0.0.1:9474"]}]}]
`, dir, alertmanagerAddress)))

		of := append(probers, server, alertmanager)
		one, other := "PingTargetDown 127.0.0.1:9473 ", "PingTargetDown 127.0.0.1:9474 "
		seen := map[string]string{one + down: "active", other + down: "active"}
		awaitAlerts(t, "both probers see one target down", seen, of...)
		blind.Store(true)
		awaitAlerts(t, "one prober is blind", map[string]string{
			"PingtelSeesAllDown 127.0.0.1:9473 ": "active", other + down: "active", one + down: "suppressed",
			one + "198.18.1.2": "suppressed", one + "198.18.1.3": "suppressed", one + "198.18.1.4": "suppressed",
		}, of...)
		blind.Store(false)
		awaitAlerts(t, "it sees again", seen, of...)
	})
}

// startAlertmanager starts an Alertmanager with the fragment that we deliver. It sends
// nothing to anybody, and looks for no others.
func startAlertmanager(t *testing.T, path string) *peer.Process {
	t.Helper()
	fragment, err := os.ReadFile(filepath.Join(folder, "alertmanager.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	conf := write(t, "alertmanager.yaml", string(fragment)+"route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
	p := peer.Start(t, exec.Command(path, "--config.file="+conf, "--storage.path="+t.TempDir(), "--web.listen-address="+alertmanagerAddress, "--cluster.listen-address="))
	peer.Await(t, "Alertmanager is ready", func() bool {
		r, err := http.Get("http://" + alertmanagerAddress + "/-/ready")
		return err == nil && r.Body.Close() == nil && r.StatusCode == http.StatusOK
	}, p)
	return p
}

// awaitAlerts waits until Alertmanager has exactly these alerts, each in the state
// wanted: "active" or "suppressed". The name of one is its alert, instance and target.
func awaitAlerts(t *testing.T, what string, want map[string]string, of ...*peer.Process) {
	t.Helper()
	var got map[string]string
	defer func() {
		if t.Failed() {
			t.Logf("last alerts %v, want %v", got, want)
		}
	}()
	peer.Await(t, what, func() bool {
		got = alerts(t)
		return fmt.Sprint(got) == fmt.Sprint(want) // maps print in the order of their keys
	}, of...)
}

// alerts returns the state of each alert.
func alerts(t *testing.T) map[string]string {
	t.Helper()
	r, err := http.Get("http://" + alertmanagerAddress + "/api/v2/alerts")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer []struct {
		Labels map[string]string
		Status struct {
			State       string
			InhibitedBy []string
			SilencedBy  []string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	states := make(map[string]string)
	for _, a := range answer {
		if (a.Status.State == "suppressed") != (len(a.Status.InhibitedBy) > 0) || len(a.Status.SilencedBy) > 0 {
			t.Errorf("%+v: not suppressed by inhibition", a)
		}
		states[a.Labels["alertname"]+" "+a.Labels["instance"]+" "+a.Labels["server_address"]] = a.Status.State
	}
	return states
}
