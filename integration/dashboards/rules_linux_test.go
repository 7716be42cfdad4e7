package dashboards

import (
	"os"
	"os/exec"
	"testing"

	"github.com/pingtel/pingtel/integration/peer"
)

func TestMain(m *testing.M) { os.Exit(peer.Main(m)) }

// TestSchema checks the dashboards against Grafana's schema.
func TestSchema(t *testing.T) {
	if out, err := peer.Output(exec.Command(peer.GrafanaSchema(t), all(t)...)); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRules runs the rules over the written cases in testdata.
func TestRules(t *testing.T) {
	promtool := peer.Promtool(t)
	for _, file := range []string{"rules.yaml", "rules-week.yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			if out, err := peer.Output(exec.Command(promtool, "test", "rules", "testdata/"+file)); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
