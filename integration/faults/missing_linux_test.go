package faults

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

// addInterface adds an interface with an address to the namespace.
func addInterface(t *testing.T, name, addr string) {
	t.Helper()
	for _, args := range []string{"link add " + name + " type veth peer name " + name + "p", "addr add " + addr + "/32 dev " + name, "link set " + name + " up"} {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			t.Skipf("ip %s: %v: %s", args, err, out)
		}
	}
}

// TestInterfaceComesLater starts with an interface and a source that do not exist,
// and then reads a file with another one. Only their targets must wait until they
// come.
func TestInterfaceComesLater(t *testing.T) {
	t.Parallel()
	const late, later = "198.18.77.1", "198.18.77.2"
	netsim.Run(t, network(), func(t *testing.T, n *netsim.Net) {
		config := file(host4) +
			"[[targets]]\nhosts = [\"" + late + "\"]\ninterface = \"late0\"\n" +
			"[[targets]]\nhosts = [\"" + other4 + "\"]\nsource = \"198.18.0.9\"\n"
		s := peer.StartService(t, config, nil)
		none := fault{from: time.Now().Add(-time.Minute)}
		s.Says(t, 0, `targets[1].interface: "late0": this machine does not have the interface now`)
		s.Says(t, 0, "targets[2].source: 198.18.0.9: this machine does not have the address now")
		s.More(t, 2, host4, late, other4)

		said := len(s.Text())
		s.Reload(t, config+"[[targets]]\nhosts = [\""+later+"\"]\ninterface = \"late1\"\n")
		s.Says(t, said, `targets[3].interface: "late1": this machine does not have the interface now`)
		s.Says(t, said, "configuration in force")
		s.More(t, 2, host4, late, other4, later)
		none.to = time.Now()
		addInterface(t, "late0", late)
		addInterface(t, "late1", later)
		if err := n.AddAddr(netip.MustParseAddr("198.18.0.9")); err != nil {
			t.Fatal(err)
		}
		replied := func(host string) bool {
			points := s.Of(t, host)
			return len(points) > 0 && points[len(points)-1].Int("result_code") == 0
		}
		peer.Await(t, "replies once all is there", func() bool { return replied(late) && replied(later) && replied(other4) }, s.Process)
		s.More(t, 2, host4, late, later, other4)
		s.End(t)

		checkSound(t, s.Of(t, host4))
		checkSteady(t, s, s.Of(t, host4))
		for host, reason := range map[string]string{late: "late0", later: "late1", other4: ""} {
			_, within, partly := none.split(s.Of(t, host))
			checkRefused(t, within, reason)
			checkPartly(t, partly)
		}
	})
}
