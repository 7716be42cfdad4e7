package icmpcore

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestAddrIndex compares the index with a map of sets.
func TestAddrIndex(t *testing.T) {
	const n = 3000
	all := make([]series, n)
	x := addrIndex{at: func(i int32) *series { return &all[i] }}
	rng := rand.New(rand.NewPCG(1, 2))
	want := make(map[netip.Addr]map[int32]bool)
	in := make(map[int32]bool)
	for range 20000 {
		i := int32(rng.IntN(n))
		if in[i] {
			x.remove(i)
			delete(in, i)
			delete(want[all[i].addr], i)
			continue
		}
		a := netip.AddrFrom4([4]byte{10, byte(rng.IntN(3)), 0, byte(rng.IntN(50))})
		if rng.IntN(2) == 0 {
			b := testAddr6.As16()
			b[rng.IntN(16)] = byte(rng.IntN(4))
			a = netip.AddrFrom16(b)
		}
		all[i].addr = a
		x.insert(i)
		in[i] = true
		if want[a] == nil {
			want[a] = make(map[int32]bool)
		}
		want[a][i] = true
	}
	if x.count != len(in) {
		t.Errorf("count = %d, want %d", x.count, len(in))
	}
	for a, set := range want {
		got := make(map[int32]bool)
		x.find(a, func(i int32, _ *series) bool {
			got[i] = true
			return true
		})
		if !maps.Equal(got, set) {
			t.Errorf("find(%s) = %v, want %v", a, got, set)
		}
	}
	(&addrIndex{}).find(testAddr4, func(int32, *series) bool {
		t.Error("an empty index finds something")
		return false
	})
}

func TestIndexQueue(t *testing.T) {
	var q indexQueue
	in, out := int32(0), int32(0)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10000 {
		if rng.IntN(5) < 3 {
			q.push(in)
			in++
		} else if q.size > 0 {
			if got := q.pop(); got != out {
				t.Fatalf("pop = %d, want %d", got, out)
			}
			out++
		}
	}
	if q.size != int(in-out) {
		t.Errorf("size = %d, want %d", q.size, in-out)
	}
}
