//go:build unix

package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The Telegraf that the tests run, and what it is built of.
const (
	telegrafVersion = "v1.39.3"
	telegrafParts   = "custom,inputs.execd,inputs.exec,inputs.ping,outputs.file,outputs.influxdb,parsers.influx,parsers.nagios,serializers.influx"
)

// Telegraf returns the path of a real Telegraf. The first time it is built,
// which takes some minutes.
func Telegraf(t *testing.T) string {
	t.Helper()
	return Cached(t, "telegraf-"+telegrafVersion, "telegraf", func(dir string) error {
		cmd := exec.Command("go", "install", "-tags", telegrafParts, "github.com/influxdata/telegraf/cmd/telegraf@"+telegrafVersion)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOBIN="+filepath.Clean(dir), "CGO_ENABLED=0", "GOFLAGS=")
		_, err := Output(cmd)
		return err
	})
}
