//go:build unix

package peer

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// InfluxURL is where a server of [StartInfluxDB] listens.
const InfluxURL = "http://127.0.0.1:8086"

// InfluxDB returns the path of the system's InfluxDB 1.x. The test skips where there
// is none.
func InfluxDB(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("influxd")
	if err != nil {
		t.Skip("no InfluxDB here: install the package influxdb")
	}
	return path
}

// StartInfluxDB starts an InfluxDB without data, and returns when it answers.
func StartInfluxDB(t *testing.T, influxd string) *Process {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "influxdb.conf")
	text := fmt.Sprintf(`reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = %q
[data]
  dir = %q
  wal-dir = %q
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:8086"
  log-enabled = false
`, filepath.Join(dir, "meta"), filepath.Join(dir, "data"), filepath.Join(dir, "wal"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	db := Start(t, exec.Command(influxd, "-config", conf))
	Await(t, "InfluxDB answers", func() bool {
		resp, err := http.Get(InfluxURL + "/ping")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusNoContent
	}, db)
	return db
}
