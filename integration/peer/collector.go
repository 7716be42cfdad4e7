//go:build unix

package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The collector that the tests run, and what it is built of.
const collectorVersion = "v0.165.0"

const collectorManifest = `dist:
  name: otelcol
  output_path: ./source
receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver ` + collectorVersion + `
exporters:
  - gomod: go.opentelemetry.io/collector/exporter/debugexporter ` + collectorVersion + `
  - gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/fileexporter ` + collectorVersion + `
`

// Collector returns the path of a real OpenTelemetry collector, built by the
// collector's own builder. The first time that takes some minutes.
func Collector(t *testing.T) string {
	t.Helper()
	return Cached(t, "collector-"+collectorVersion, "otelcol", func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(collectorManifest), 0o644); err != nil {
			return err
		}
		source := filepath.Join(dir, "source")
		// The builder's own compilation stops at what go mod tidy says of tests of dependencies of dependencies.
		for _, step := range []struct {
			dir  string
			args []string
		}{
			{dir, []string{"run", "go.opentelemetry.io/collector/cmd/builder@" + collectorVersion, "--config", "manifest.yaml", "--skip-compilation"}},
			{source, []string{"mod", "tidy", "-e"}},
			{source, []string{"build", "-trimpath", "-o", filepath.Join(dir, "otelcol"), "."}},
		} {
			cmd := exec.Command("go", step.args...)
			cmd.Dir = step.dir
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
			if _, err := Output(cmd); err != nil {
				return err
			}
		}
		return nil
	})
}
