//go:build unix

package peer

import (
	"os/exec"
	"testing"
)

// Alertmanager returns the path of the system's Alertmanager, which Debian names after
// Prometheus. The test skips where there is none.
func Alertmanager(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"prometheus-alertmanager", "alertmanager"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Alertmanager here: install the package prometheus-alertmanager")
	return ""
}
