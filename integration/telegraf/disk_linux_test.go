package telegraf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestDiskFull fills the disk that Telegraf writes to, and makes room again. pingtel
// must keep measuring, and its points must come.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	peer.Telegraf(t)
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		disk := filepath.Join(t.TempDir(), "disk")
		if err := os.Mkdir(disk, 0o755); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("execd.conf")
		if err != nil {
			t.Fatal(err)
		}
		conf := telegrafFile(t, filepath.Join(disk, "metrics"), strings.NewReplacer(
			"/usr/bin/pingtel", peer.Pingtel(), "/etc/pingtel/pingtel.toml", pingtelFile(t, "none", everyHost...)).Replace(string(text)))
		const small = `mount -t tmpfs -o size=48k none "$1" && head -c 40960 /dev/zero >"$1/ballast" && exec "$2" --config "$3"`
		cmd := exec.Command("unshare", "--mount", "sh", "-c", small, "sh", disk, peer.Telegraf(t), conf)
		p := peer.Start(t, cmd)
		inside := fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, disk)
		peer.Await(t, "the disk is full", func() bool { return strings.Contains(p.Text(), "no space left on device") }, p)
		pids := children(t)
		at := len(n.Arrived())
		peer.Await(t, "it measures on", func() bool { return len(n.Arrived()) > at+50 }, p)
		if err := os.Remove(filepath.Join(inside, "ballast")); err != nil {
			t.Fatal(err)
		}
		r := &running{Process: p, file: filepath.Join(inside, "metrics")}
		before := len(of(r.wholePoints(t), answers))
		peer.Await(t, "points come again", func() bool { return len(of(r.wholePoints(t), answers)) > before+3 }, p)
		checkPoints(t, r.wholePoints(t))
		if now := children(t); len(pids) != 1 || len(now) != 1 || now[0] != pids[0] {
			t.Errorf("pingtel was %v and is %v", pids, now)
		}
	})
}

// wholePoints reads the points that Telegraf has written, except for lines that the
// full disk has cut off.
func (r *running) wholePoints(t *testing.T) []point {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	var points []point
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") || strings.Count(line, "packets_transmitted=") > 1 {
			continue
		}
		if got, err := peer.ParsePoints([]byte(line)); err == nil {
			points = append(points, got...)
		}
	}
	return points
}
