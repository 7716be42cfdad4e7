//go:build unix

package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// prometheusVersion is 3.16: Debian's is older than the OTLP receiver.
const prometheusVersion = "v0.316.0"

// Prometheus returns the path of a real Prometheus, built without its service
// discoveries. The first time that takes some minutes.
func Prometheus(t *testing.T) string {
	t.Helper()
	return Cached(t, "prometheus-"+prometheusVersion, "prometheus", func(dir string) error {
		// go install refuses it: its go.mod has exclusions.
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module prometheus\n\ngo 1.26.0\n"), 0o644); err != nil {
			return err
		}
		const main = "github.com/prometheus/prometheus/cmd/prometheus"
		for _, args := range [][]string{
			{"get", main + "@" + prometheusVersion},
			{"build", "-trimpath", "-tags", "remove_all_sd", "-o", filepath.Join(dir, "prometheus"), main},
		} {
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
			if _, err := Output(cmd); err != nil {
				return err
			}
		}
		return nil
	})
}
