package telegraf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestInput lets Telegraf run the input that is made of pingtel's packages, by
// its own shim, and pingtel itself on the same hosts: both write the same fields
// and tags.
func TestInput(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t) // which takes the real network
	peer.TelegrafInput(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		hosts := append(slices.Clone(everyHost), noRoute)
		// One after the other: a host that loses each fifth echo then loses one of each series.
		ours := start(t, "execd.conf", pingtelFile(t, "none", hosts...))
		ours.awaitPoints(t, 2, hosts...)
		ours.Stop()
		n.Forget()
		theirs := startInput(t, hosts)
		theirs.awaitPoints(t, 2, hosts...)
		if took, status := theirs.Stop(); status != 0 || strings.Contains(theirs.Text(), "signal: killed") {
			t.Errorf("Telegraf ended with %d after %v, said\n%s", status, took, theirs.Text())
		}
		points := theirs.points(t)
		checkPoints(t, points)
		theirs.checkSent(t, points, len(n.Arrived()))
		for _, host := range hosts {
			comparePoints(t, of(ours.points(t), host)[0], of(points, host)[0])
		}
	})
}

// startInput starts a Telegraf that runs the input on hosts, once in each of its
// intervals.
func startInput(t *testing.T, hosts []string) *running {
	t.Helper()
	settings := write(t, "input.conf", fmt.Sprintf(`[[inputs.pingtel]]
  hosts = ["%s"]
  ping_interval = "20ms"
  timeout = "1500ms"
`, strings.Join(hosts, `", "`)))
	return startText(t, fmt.Sprintf(`
[[inputs.execd]]
  command = [%q, "-config", %q, "-poll_interval_disabled"]
  signal = "STDIN"
  data_format = "influx"
  [inputs.execd.tags]
    site = "lab"
`, peer.TelegrafInput(t), settings))
}

// comparePoints demands the same tags of two points, and the same fields, which
// are equal unless they depend on times.
func comparePoints(t *testing.T, ours, theirs point) {
	t.Helper()
	host := ours.Tags["url"]
	if !maps.Equal(ours.Tags, theirs.Tags) {
		t.Errorf("%s: tags %v, pingtel itself has %v", host, theirs.Tags, ours.Tags)
	}
	names := func(p point) []string { return slices.Sorted(maps.Keys(p.Fields)) }
	if a, b := names(ours), names(theirs); !slices.Equal(a, b) {
		t.Errorf("%s: fields %v, pingtel itself has %v", host, b, a)
		return
	}
	for name, want := range ours.Fields {
		got := theirs.Fields[name]
		if a, b := fmt.Sprintf("%T", want), fmt.Sprintf("%T", got); a != b {
			t.Errorf("%s: %s is %s, %s with pingtel itself", host, name, b, a)
		}
		if !strings.HasSuffix(name, "_ms") && got != want {
			t.Errorf("%s: %s = %v, %v with pingtel itself", host, name, got, want)
		}
	}
	t.Logf("%-14s %s", host, strings.Join(names(theirs), " "))
}
