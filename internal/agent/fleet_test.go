package agent

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestShard: two shards measure each target once, with their names, and a target that
// a reload gives to another shard is measured for an interval more.
func TestShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := []string{"198.18.0.1-32"}
		file := func(shard string) string {
			return fileOf("none", hosts...) + "[fleet]\nmember = \"probe-" + shard[:1] + "\"\nshard = \"" + shard + "\"\n"
		}
		lines := func(r *rig) map[string]int {
			got := make(map[string]int)
			for line := range strings.Lines(r.out.String()) {
				if tags, _, _ := strings.Cut(line, " "); strings.HasPrefix(tags, "ping,") {
					got[tags[strings.Index(tags, "address="):]]++
				}
			}
			return got
		}
		all := make(map[string]bool)
		for _, shard := range []string{"0/2", "1/2"} {
			r := newRig(t, file(shard))
			r.serve()
			time.Sleep(21 * time.Second)
			got := lines(r)
			if len(got) < 8 || len(got) > 24 {
				t.Errorf("shard %s measures %d of 32 targets", shard, len(got))
			}
			for tags := range got {
				host, rest, _ := strings.Cut(tags, ",")
				if all[host] {
					t.Errorf("%s: measured twice", host)
				}
				all[host] = true
				if want := "prober=probe-" + shard[:1]; !strings.Contains(rest, want) {
					t.Errorf("tags %s, want %s", tags, want)
				}
			}
			if own := r.out.String(); !strings.Contains(own, "\npingtel_internal,prober=probe-"+shard[:1]+" ") || !strings.Contains(own, ",fleet_members=2i,fleet_owned=") {
				t.Errorf("no figures on the fleet in %s", own)
			}
			if shard == "1/2" {
				before := len(got)
				r.file = strings.Replace(file(shard), `"1/2"`, `"0/2"`, 1)
				r.signals <- syscall.SIGHUP
				synctest.Wait()
				if n := r.agent.monitor.Stats().Targets; n != 32 {
					t.Errorf("%d targets while others take over, want all 32", n)
				}
				time.Sleep(10*time.Second - time.Nanosecond)
				if n := r.agent.monitor.Stats().Targets; n != 32 {
					t.Errorf("%d targets within an interval, want all 32", n)
				}
				time.Sleep(time.Second)
				if n := r.agent.monitor.Stats().Targets; n != 32-before {
					t.Errorf("%d targets after an interval, want %d", n, 32-before)
				}
				if s := r.agent.fleet.Stats(); s.Targets != 32 || s.Owned != 32-before || s.Changes != 1 || s.Members != 2 {
					t.Errorf("%+v", s)
				}
			}
			if _, err := r.end(); err != nil {
				t.Error(err)
			}
		}
		if len(all) != 32 {
			t.Errorf("%d of 32 targets measured", len(all))
		}
	})
}
