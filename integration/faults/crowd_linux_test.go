package faults

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// TestStalledDevice runs the service as an ordinary user. It probes hosts behind a
// device that sends nothing, with far more packets than its sockets have room for.
// Hosts elsewhere must lose nothing. The others must have a line in each interval
// that says that nothing came back, or why nothing could be sent.
func TestStalledDevice(t *testing.T) {
	t.Parallel()
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		if err := n.AddLAN(true); err != nil {
			t.Fatal(err)
		}
		var sick []string
		for i := range 300 {
			sick = append(sick, fmt.Sprintf("198.19.%d.%d", 1+i/250, 1+i%250))
		}
		config := file(host4, host6) + "[[targets]]\nsize = 8000\ncount = 5\nping_interval = \"50ms\"\ntimeout = \"300ms\"\nhosts = [\"" + strings.Join(sick, `", "`) + "\"]\n"
		s := peer.StartService(t, config, func(args ...string) *exec.Cmd {
			cmd := exec.Command(args[0], args[1:]...)
			n.Unprivileged(cmd)
			return cmd
		})
		s.More(t, 8, host4, host6, sick[0], sick[299])
		s.End(t)
		checkSound(t, s.Of(t, host4))
		checkSound(t, s.Of(t, host6))
		refused := 0
		for _, p := range s.Points(t) {
			if p.Measurement != "ping" || !strings.HasPrefix(p.Tags["url"], "198.19.") {
				continue
			}
			switch text, _ := p.Fields["error"].(string); {
			case p.Int("result_code") == 2 && strings.Contains(text, "full"):
				refused++
			case p.Int("result_code") != 1 || p.Int("packets_received") != 0 || text == "":
				t.Errorf("%s: %v", p.Tags["url"], p.Fields)
			}
		}
		if refused == 0 {
			t.Error("the sockets had room for everything: this tests nothing")
		}
		for _, host := range sick {
			if got := len(s.Of(t, host)); got < 7 {
				t.Errorf("%s: %d lines in eight intervals", host, got)
			}
		}
		checkNoneLeftOut(t, s.Internal(t))
	})
}
