//go:build linux

package integration

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

// TestMalformed sends malformed packets before each true reply, made from that reply
// and from an error about it: each header byte altered, each length, each quote cut
// short, errors that quote errors and themselves. None may become a figure, except
// that a reply altered after its cookie counts as corrupt. All true replies count.
func TestMalformed(t *testing.T) {
	const echoes, delay = 3, 200 * ms
	requests := make(chan netsim.Request, echoes)
	spy := func(r netsim.Request) []netsim.Packet {
		r.Payload = append([]byte(nil), r.Payload...)
		requests <- r
		return netsim.True(r)
	}
	eachSocket(t, func(f icmpcore.Family) []netsim.Rule {
		return []netsim.Rule{{Prefix: prefix(host(f, 0)), Delay: delay, Answer: spy}}
	}, func(t *testing.T, n *netsim.Net, p *icmpcore.Pinger, f icmpcore.Family) {
		result := make(chan icmpcore.PingResult, 1)
		o := icmpcore.Options{Count: echoes, Interval: 10 * ms, Timeout: 5 * time.Second}
		if _, err := p.Go(icmpcore.Target{Addr: host(f, 0)}, o, func(r icmpcore.PingResult) { result <- r }); err != nil {
			t.Fatal(err)
		}
		sent, refused := 0, 0
		for range echoes {
			r := <-requests
			for _, b := range malformed(f, r) {
				sent++
				if err := n.Inject(b); err != nil {
					refused++ // by the device: no IP packet at all
				}
			}
		}
		r := <-result
		s := p.Stats()
		t.Logf("%d packets, %d refused by the device, %d foreign, %d corrupt", sent, refused, s.Foreign, s.Corrupt)
		if r.Received != echoes || r.Min < delay || r.Duplicates+r.Late+r.Reordered+len(r.Errors) > 0 || r.Err != nil {
			t.Errorf("received %d min %v duplicates %d late %d reordered %d errors %v, %v",
				r.Received, r.Min, r.Duplicates, r.Late, r.Reordered, r.Errors, r.Err)
		}
		if s.ReceiveErrors > 0 || s.SendErrors > 0 {
			t.Errorf("%d receive errors, %d send errors", s.ReceiveErrors, s.SendErrors)
		}
		if s.Corrupt == 0 || s.Foreign == 0 {
			t.Error("the packets did not get as far as the engine")
		}
	})
}

// malformed returns packets that look like answers to r and are not.
func malformed(f icmpcore.Family, r netsim.Request) [][]byte {
	v4 := f == icmpcore.FamilyIPv4
	header, reply, request := 40, byte(129), byte(128)
	errs := []byte{1, 2, 3, 4, 137}
	if v4 {
		header, reply, request = 20, 0, 8
		errs = []byte{3, 4, 5, 11, 12}
	}
	message := func(typ byte) []byte {
		b := binary.BigEndian.AppendUint16([]byte{typ, 0, 0, 0}, r.ID)
		return append(binary.BigEndian.AppendUint16(b, r.Seq), r.Payload...)
	}
	packet := func(message []byte) []byte {
		raw := netsim.Raw{Src: r.Dst, Dst: r.Src, Message: message}
		return raw.Append(nil)
	}
	out := [][]byte{{}, {0x45}, {0x60}}

	// The reply, with one byte altered or cut short.
	truth := packet(message(reply))
	for i := range truth {
		switch {
		case v4 && (i == 1 || i == 4 || i == 5 || i == 8 || i == 10 || i == 11): // TOS, id, TTL, checksum: true as ever
			continue
		case !v4 && (i >= 1 && i < 4 || i == 7): // traffic class, flow label, hop limit
			continue
		}
		for _, x := range []byte{0x01, 0x20, 0x80, 0xff} {
			if v4 && i == 6 && x == 0x80 || !v4 && i == 0 && x == 0x01 { // the reserved bit, traffic class
				continue
			}
			b := append([]byte(nil), truth...)
			b[i] ^= x
			out = append(out, sumAgain(b, v4))
		}
	}
	for size := range len(truth) {
		out = append(out, truth[:size]) // shorter than it says
		if size >= header {
			out = append(out, packet(truth[header:size])) // and as long as it says
		}
	}

	// Errors about the request, none with its cookie, as that would prove them;
	// with one byte of the quote altered, or cut short.
	out = append(out, packet([]byte{255, 255, 0, 0}))
	asked := netsim.Raw{Src: r.Src, Dst: r.Dst, Message: message(request)}
	quote := asked.Append(nil)
	quote[header+8] ^= 0xff
	for _, typ := range errs {
		about := func(quote []byte) []byte {
			return packet(append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, quote...))
		}
		for size := range len(quote) {
			out = append(out, about(quote[:size]))
		}
		for i := range header + 8 {
			for _, x := range []byte{0x01, 0x0f, 0x80, 0xff} {
				b := append([]byte(nil), quote...)
				b[i] ^= x
				out = append(out, about(b))
			}
		}
		self := about(quote)
		for range 5 { // an error about an error about an error ...
			self = about(self)
			out = append(out, self)
		}
		for range 5 { // ... and one that quotes its own beginning
			self = about(self[:len(self)/2])
			out = append(out, self)
		}
		out = append(out, about(truth), about(nil), about(fmt.Appendf(nil, "%064d", 0)))
	}
	return out
}

// sumAgain computes an IPv4 header's checksum again, so that the kernel accepts the
// packet.
func sumAgain(b []byte, v4 bool) []byte {
	size := int(b[0]&0x0f) * 4
	if !v4 || size < 20 || size > len(b) {
		return b
	}
	b[10], b[11] = 0, 0
	var sum uint32
	for i := 0; i < size; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum>>16+sum))
	return b
}
