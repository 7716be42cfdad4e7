package icmpcore

import (
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// pseudoSum6 is the sum of an IPv6 pseudo-header (RFC 8200, section 8.1) between
// two addresses whose words add up to 0x1234.
func pseudoSum6(length int) uint32 { return 0x1234 + uint32(length) + protocolICMPv6 }

// TestFlow makes requests of one flow that differ in everything else: all must
// have the checksum of the flow.
func TestFlow(t *testing.T) {
	for _, f := range []Family{FamilyIPv4, FamilyIPv6} {
		seen := map[uint16]uint16{}
		for _, flow := range []uint16{1, 2, 0x1234, 0xfffe, 0xffff} {
			want, first := uint16(0), true
			for _, size := range []int{10, 11, 56, 1001, maxSize} {
				for _, dscp := range []int{0, 46} {
					p := newProfile(Options{Size: size, DSCP: dscp, TTL: size % 30, Flow: flow}.withDefaults())
					for seq := range min(300, 3+10000/size) {
						cookie := uint64(seq) * 0x9e3779b97f4a7c15
						var head [longHead]byte
						p.putHead(&head, f, 0xabcd, uint16(seq*77), cookie)
						message := append(head[:p.headSize()], p.payload...)
						if len(message) != icmpHeaderSize+size {
							t.Fatalf("size %d: message of %d bytes", size, len(message))
						}
						sum := binary.BigEndian.Uint16(message[2:])
						if f == FamilyIPv6 { // as the kernel does it
							sum = ^fold(sum16(message) + pseudoSum6(len(message)))
						} else if !checksumRight(message) || sum != flow%0xffff {
							t.Fatalf("flow %d: checksum %#x", flow, sum)
						}
						if first {
							want, first = sum, false
						}
						if sum != want {
							t.Fatalf("%s, flow %d, size %d, seq %d: checksum %#x, before %#x", f, flow, size, seq, sum, want)
						}
						m, ok := parseEcho(message, requestType(f))
						if !ok || !p.brought(f, m, cookie) {
							t.Fatalf("size %d: what was sent does not count as such", size)
						}
						message[len(message)-1-seq%(size-cookieSize)] ^= 1
						if p.brought(f, m, cookie) {
							t.Fatalf("size %d: a changed payload counts as what was sent", size)
						}
					}
				}
			}
			if other, ok := seen[want]; ok {
				t.Errorf("%s: the flows %d and %d have the same checksum", f, other, flow)
			}
			seen[want] = flow
			if label := flowLabel(flow); label>>19 != 1 || label&0xffff != uint32(flow) {
				t.Errorf("flow %d has the label %#x", flow, label)
			}
		}
	}
}

// TestFlowSeries runs a series with a flow through the engine: true replies
// count, changed ones do not, whichever byte is changed.
func TestFlowSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newFake(t, func(r sent) []answer {
			if r.number < 20 {
				return []answer{{ms, r.altered(headSize + r.number%20)}, {2 * ms, r.reply()}}
			}
			return []answer{{ms, r.reply()}}
		})
		p := openFake(t, c, Config{})
		opts := Options{Count: 40, Interval: 5 * ms, Timeout: 100 * ms, Size: 28, Flow: 7}
		r, err := p.Ping(t.Context(), "198.18.0.1", opts)
		if err != nil || r.Received != 40 || r.Corrupt != 20 {
			t.Errorf("%v: %s, %d corrupt", err, r, r.Corrupt)
		}
		for _, s := range c.requests() {
			if sum := binary.BigEndian.Uint16(s.message[2:]); sum != 7 || !checksumRight(s.message) {
				t.Fatalf("request %d has the checksum %d", s.number, sum)
			}
		}
	})
}

func TestFlowNeedsRoom(t *testing.T) {
	for size := 8; size <= 10; size++ {
		err := Options{Size: size, Flow: 1}.Validate()
		var fault *OptionError
		if (size < 10) != (errors.As(err, &fault) && fault.Field == "size") {
			t.Errorf("size %d with a flow: %v", size, err)
		}
		if err := (Options{Size: size}).Validate(); err != nil {
			t.Errorf("size %d without a flow: %v", size, err)
		}
	}
}

// TestErrorTimes has errors with and without a cookie come back after 10 ms. Those
// without one count only after their timeout, but with the time of their arrival.
func TestErrorTimes(t *testing.T) {
	for _, source := range []Timestamps{TimestampsUser, TimestampsKernelRX, TimestampsKernel} {
		synctest.Test(t, func(t *testing.T) {
			c := newFake(t, func(r sent) []answer { return []answer{{10 * ms, r.errored(11, 0, 8*(r.number%2))}} })
			c.source = source
			p := openFake(t, c, Config{})
			var got []Echo
			opts := Options{Count: 4, Interval: 100 * ms, Timeout: 3 * time.Second, OnEcho: func(e Echo) { got = append(got, e) }}
			r, err := p.Ping(t.Context(), "198.18.0.1", opts)
			if err != nil || len(r.Errors) != 4 || len(got) != 4 {
				t.Fatalf("%v: %s, %d errors, %d calls", err, r, len(r.Errors), len(got))
			}
			for _, e := range got {
				if e.Outcome != OutcomeError || e.RTT != 10*ms || e.Timestamps != source {
					t.Errorf("echo %d: %s, RTT %v by %s, want 10ms by %s", e.Seq, e.Outcome, e.RTT, e.Timestamps, source)
				}
				came := r.Start.Add(time.Duration(e.Seq-1)*100*ms + 10*ms)
				if d := e.Time.Sub(came); d < 0 || d > ms { // requests are sent at ticks
					t.Errorf("echo %d: came at %v, want %v", e.Seq, e.Time, came)
				}
				if q := e.Err.(*EchoError).Quote; q.Cookie != (e.Seq%2 == 0) {
					t.Errorf("echo %d: quote %+v", e.Seq, q)
				}
			}
		})
	}
}
