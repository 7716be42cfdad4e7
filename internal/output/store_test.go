package output

import (
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/otel"
)

// TestForget: nothing of a file stays when its targets are gone, also if the file
// that replaces it turns the output off, which takes a restart.
func TestForget(t *testing.T) {
	s, err := NewStore(otel.StoreOptions{}, Env{Own: func() Own { return Own{} }})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // files
		probe := &config.Probe{Tags: []config.Tag{{Key: "site", Value: "lab"}}}
		for _, host := range []string{"a", "b"} {
			target := &monitor.Target{Target: config.Target{Host: host, Probe: probe}}
			s.Record(target, &icmpcore.PingResult{Sent: 1})
			s.Forget(target)
		}
	}
	if len(s.targets) > 0 || len(s.attributes) > 0 {
		t.Errorf("%d targets and the tags of %d files are left", len(s.targets), len(s.attributes))
	}
}
