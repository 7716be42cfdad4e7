package path

import (
	"errors"
	"sync"
	"testing"

	"github.com/pingtel/pingtel/icmpcore"
)

// link is a path of three hops that takes packets up to an MTU. It answers at once.
type link struct {
	mtu    int
	report bool
}

func (l link) Go(t icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	go func() {
		for range o.Count {
			e := icmpcore.Echo{Outcome: icmpcore.OutcomeReply, From: t.Addr}
			switch size := o.Size + 28; {
			case o.TTL <= 2:
				e.Outcome, e.Err = icmpcore.OutcomeError, &icmpcore.EchoError{Kind: icmpcore.TimeExceeded, From: hopAddr(o.TTL)}
			case size > l.mtu && l.report:
				e.Outcome, e.Err = icmpcore.OutcomeError, &icmpcore.EchoError{Kind: icmpcore.PacketTooBig, From: hopAddr(2), MTU: l.mtu}
			case size > l.mtu:
				e.Outcome, e.Err = icmpcore.OutcomeTimeout, errors.New("timeout")
			}
			o.OnEcho(e)
		}
		done(icmpcore.PingResult{Sent: o.Count})
	}()
	return icmpcore.Run{}, nil
}

// TestMTURounds searches for every MTU: three rounds find it to the byte, two if a router
// reports it.
func TestMTURounds(t *testing.T) {
	var searches sync.WaitGroup
	for mtu := 68; mtu <= 1500; mtu++ {
		for _, report := range []bool{false, true} {
			tr := &Trace{Addr: target, Hops: []Hop{{TTL: 1}, {TTL: 2}, {TTL: 3, Target: true}}}
			for i := range tr.Hops[:2] {
				tr.Hops[i].From = []Address{{Addr: hopAddr(i + 1)}}
			}
			searches.Add(1)
			var s *search
			s = newSearch(&tracer{prober: link{mtu, report}, target: icmpcore.Target{Addr: target},
				opts: Options{MTU: 1500, Echoes: icmpcore.Options{Timeout: icmpcore.DefaultTimeout}},
				done: func(*Trace) {
					defer searches.Done()
					want := MTU{Size: mtu, Exact: true, Interface: 1500, Least: 68}
					most := 3
					if mtu < 1500 {
						want.Hop, want.From, want.Reported = 2, hopAddr(2), report
					}
					if report {
						most = 2
					}
					if rounds := s.count - 1; s.mtu != want || rounds > most { // the last round only looks for the hop
						t.Errorf("MTU %d, reported %v: %+v after %d rounds", mtu, report, s.mtu, rounds)
					}
				}}, tr)
			s.round()
		}
	}
	searches.Wait()
}
