package dashboards

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
)

// The targets: hosts of the simulated network, and a name that has no address.
const (
	answers     = "198.18.1.1" // DSCP EF, site fra
	answers6    = "2001:db8::11"
	moves       = "198.18.1.2" // site fra; its path can change
	losesSome   = "198.18.1.3" // from here on site lab; one in five
	losesAll    = "198.18.1.4"
	unreachable = "198.18.1.5"
	messy       = "198.18.1.6" // one late, one twice, one corrupt, two change places, one lost
	losesFew    = "198.18.1.7" // one in twenty
	unknown     = "nosuch.invalid"
)

// Sets of them.
var (
	everyHost = []string{answers, answers6, moves, losesSome, losesAll, unreachable, messy, losesFew, unknown}
	upHosts   = []string{answers, answers6, moves, losesSome, messy, losesFew}
	downHosts = []string{losesAll, unreachable, unknown}
)

const (
	delay    = 5 * time.Millisecond
	farDelay = 40 * time.Millisecond // of the path that moves gets
	timeout  = 800 * time.Millisecond
	echoes   = 5 // of a series
)

// network returns the rules. When moved is true, moves is on its other path.
func network(moved *atomic.Bool) []netsim.Rule {
	rule := func(host string, answer netsim.Answer) netsim.Rule {
		a := netip.MustParseAddr(host)
		return netsim.Rule{Prefix: netip.PrefixFrom(a, a.BitLen()), Delay: delay, TTL: 60, Answer: answer}
	}
	return []netsim.Rule{
		rule(answers, nil), rule(answers6, nil),
		rule(moves, func(r netsim.Request) []netsim.Packet {
			if moved.Load() {
				return []netsim.Packet{{After: farDelay - delay, TTL: 52}}
			}
			return netsim.True(r)
		}),
		rule(losesSome, inTurn(echoes, netsim.Lost)), rule(losesFew, inTurn(20, netsim.Lost)),
		rule(losesAll, netsim.Lost),
		rule(unreachable, netsim.Fail(netip.MustParseAddr("198.18.0.254"), netsim.Error{Kind: netsim.DestinationUnreachable, Code: 1})),
		rule(messy, inTurn(echoes,
			netsim.Packets(netsim.Packet{After: timeout + 20*time.Millisecond}), // late, and before the series ends with its last echo
			netsim.Packets(netsim.Packet{After: 60 * time.Millisecond}),         // behind the next one
			netsim.Packets(netsim.Packet{}, netsim.Packet{After: time.Millisecond}),
			netsim.Packets(netsim.Packet{}, netsim.Packet{Edit: netsim.WrongPayload}, netsim.Packet{Edit: netsim.WrongCookie}),
			netsim.Lost)),
	}
}

// inTurn answers the first, second, ... of each so many echoes of a process, and those
// behind the last answer truly. With the number of echoes in a series these are its
// first, second, ... Processes that ping at the same time differ by the size of their
// echoes.
func inTurn(each int, of ...netsim.Answer) netsim.Answer {
	seen := map[int]int{}
	return func(r netsim.Request) []netsim.Packet {
		n := seen[r.Size] % each
		seen[r.Size]++
		if n < len(of) {
			return of[n](r)
		}
		return netsim.True(r)
	}
}

// pingtelFile writes a file for pingtel with a series of each target in each second.
func pingtelFile(t *testing.T, size int, tables string) string {
	t.Helper()
	return write(t, "pingtel.toml", fmt.Sprintf(`[agent]
interval = "1s"
[defaults]
count = %d
size = %d
ping_interval = "40ms"
timeout = "%s"
[[targets]]
hosts = [%q, %q]
dscp = "EF"
tags = { site = "fra", dscp = "46" }
[[targets]]
hosts = [%q]
tags = { site = "fra" }
[[targets]]
hosts = [%q, %q, %q, %q, %q, %q]
tags = { site = "lab" }
%s`, echoes, size, timeout, answers, answers6, moves, losesSome, losesAll, unreachable, messy, losesFew, unknown, tables))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
