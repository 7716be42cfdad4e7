package telegraf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestBesideInputsPing lets Telegraf's own plugin ping the same hosts. pingtel must
// write every field that it writes, in the same cases and with the same type.
func TestBesideInputsPing(t *testing.T) {
	peer.Telegraf(t)
	hosts := append(slices.Clone(everyHost), noRoute)
	netsim.Run(t, network(), func(t *testing.T, _ *netsim.Net) {
		file := pingtelFile(t, "none", hosts...)
		r := startText(t, fmt.Sprintf(`
[[inputs.execd]]
  command = [%q, "telegraf", "--config", %q]
  name_suffix = "_pingtel"
  data_format = "influx"
[[inputs.ping]]
  urls = ["%s"]
  method = "native"
  count = 5
  ping_interval = 0.05
  timeout = 1.5
  deadline = 2
  interval = "3s"
  percentiles = [50, 95, 99]
`, peer.Pingtel(), file, strings.Join(hosts, `", "`)))
		var theirs, ours map[string]point
		peer.Await(t, "a point of each host from both", func() bool {
			theirs, ours = make(map[string]point), make(map[string]point)
			for _, p := range r.points(t) {
				switch p.Measurement {
				case "ping":
					theirs[p.Tags["url"]] = p
				case "ping_pingtel":
					ours[p.Tags["url"]] = p
				}
			}
			return len(theirs) == len(hosts) && len(ours) == len(hosts)
		}, r.Process)
		r.Stop()
		for _, host := range hosts {
			compareFields(t, host, theirs[host].Fields, ours[host].Fields)
		}
	})
}

// compareFields compares the fields of inputs.ping with ours.
func compareFields(t *testing.T, host string, theirs, ours map[string]any) {
	t.Helper()
	var names []string
	for name, value := range theirs {
		names = append(names, name)
		got, ok := ours[name]
		if !ok {
			t.Errorf("%s: %s is not there", host, name)
			continue
		}
		if a, b := fmt.Sprintf("%T", value), fmt.Sprintf("%T", got); a != b {
			t.Errorf("%s: %s is %s, there %s", host, name, b, a)
		}
		exact := name == "result_code" || name == "packets_transmitted" || name == "ttl" && host != unreachable
		if exact && got != value {
			t.Errorf("%s: %s = %v, there %v", host, name, got, value)
		}
	}
	for _, shared := range []string{"percent_packet_loss", "minimum_response_ms", "average_response_ms", "maximum_response_ms",
		"standard_deviation_ms", "ttl", "percentile50_ms", "percentile95_ms", "percentile99_ms", "packets_transmitted", "packets_received"} {
		if _, there := theirs[shared]; !there && ours[shared] != nil {
			t.Errorf("%s: %s is here and not there", host, shared)
		}
	}
	slices.Sort(names)
	t.Logf("%-14s %s", host, strings.Join(names, " "))
}
