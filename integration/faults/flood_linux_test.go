package faults

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestFlooded floods the host with 50,000 forged packets a second while the service
// probes a thousand hosts on the one processor that it uses. No figure may be wrong,
// no reply lost and no series left out. TestFlood in the folder above floods twice
// as fast.
func TestFlooded(t *testing.T) {
	var hosts []netip.Addr
	for a := netip.MustParseAddr("198.18.4.1"); len(hosts) < 1022; a = a.Next() {
		hosts = append(hosts, a)
	}
	forger := netsim.NewForger(hosts)
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.4.0/22"), Delay: delay, Answer: forger.Answer}}
	patient := strings.NewReplacer(`"1s"`, `"2s"`, `"700ms"`, `"1500ms"`)
	netsim.Run(t, rules, func(t *testing.T, n *netsim.Net) {
		s := peer.StartService(t, patient.Replace(file("198.18.4.0/22")), nil)
		s.More(t, 2, hosts[0].String())
		ctx, cancel := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		injected, begun, used := 0, time.Now(), peer.CPUTime(t, s.Pid())
		flood.Go(func() {
			injected = forger.Flood(ctx, n, 50_000, 2_000_000)
		})
		s.More(t, 4, hosts[0].String())
		cancel()
		flood.Wait()
		took := time.Since(begun)
		used = peer.CPUTime(t, s.Pid()) - used
		s.More(t, 2, hosts[0].String())
		own := s.Internal(t)
		s.End(t)
		points := pings(s.Points(t))
		checkSound(t, points)
		checkNoneLeftOut(t, own)
		if own.Int("foreign") < int64(injected/2) {
			t.Errorf("only %d of %d forged packets got as far as the engine", own.Int("foreign"), injected)
		}
		t.Logf("%d series under %d forged packets, %.0f a second: %.2f of a processor",
			len(points), injected, float64(injected)/took.Seconds(), used.Seconds()/took.Seconds())
	})
}
