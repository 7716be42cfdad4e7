package netsim

import (
	"context"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
)

// Forger forges packets. It sees the id and sequence number of every request, but
// not the cookie: its Answer, which is [True], reads the requests, and Flood sends
// packets made from them. Make one with [NewForger].
type Forger struct {
	hosts []netip.Addr
	index map[netip.Addr]int
	last  []atomic.Uint32 // id and sequence number of the newest request to each host
}

// NewForger returns a forger of packets from hosts. Use its Answer for exactly
// these hosts.
func NewForger(hosts []netip.Addr) *Forger {
	f := &Forger{hosts: hosts, index: make(map[netip.Addr]int, len(hosts)), last: make([]atomic.Uint32, len(hosts))}
	for i, h := range hosts {
		f.index[h] = i
	}
	return f
}

// Answer sends the true reply.
func (f *Forger) Answer(r Request) []Packet {
	f.last[f.index[r.Dst]].Store(uint32(r.ID)<<16 | uint32(r.Seq))
	return True(r)
}

// Flood is [Net.Flood] with forged packets, each from one of the hosts in turn, for
// the newest request to that host. There are four rounds, again and again: two of
// replies with a forged cookie, one of errors without a cookie, and one of errors
// with a forged cookie.
func (f *Forger) Flood(ctx context.Context, n *Net, rate, count int) int {
	return n.Flood(ctx, rate, count, func(i int, b []byte) []byte { return f.append(b, n, i) })
}

// append appends the i-th forged packet to the host of n.
func (f *Forger) append(b []byte, n *Net, i int) []byte {
	host, kind := i%len(f.hosts), i/len(f.hosts)%4
	raw := Raw{Src: f.hosts[host], Dst: n.Addr4}
	reply, request, unreachable := byte(0), byte(8), byte(3)
	if raw.Src.Is6() {
		reply, request, unreachable = 129, 128, 1
		raw.Dst = n.Addr6
	}
	echo := make([]byte, 8, 8+56)
	echo[0] = reply
	binary.BigEndian.PutUint32(echo[4:], f.last[host].Load())
	switch kind {
	case 0, 1: // a reply with a forged cookie
		echo = binary.BigEndian.AppendUint64(echo, uint64(i)*0x9e3779b97f4a7c15)
		raw.Message = append(echo, make([]byte, 48)...)
	default: // an error that quotes eight bytes, or also a forged cookie
		echo[0] = request
		if kind == 3 {
			echo = binary.BigEndian.AppendUint64(echo, uint64(i)*0x9e3779b97f4a7c15)
		}
		quoted := Raw{Src: raw.Dst, Dst: raw.Src, Message: echo}
		raw.Message = quoted.Append([]byte{unreachable, 1, 0, 0, 0, 0, 0, 0})
	}
	return raw.Append(b)
}
