package icmpcore

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestAddrIndex compares the index with a map of sets: for many series, and for
// so few that each one is often the first, the last or the only one in its list.
func TestAddrIndex(t *testing.T) {
	testAddrIndex(t, 3000, 20000, 1, 50)
	for seed := range uint64(300) {
		testAddrIndex(t, 5, 30, seed, 2)
	}
}

func testAddrIndex(t *testing.T, n, steps int, seed uint64, addrs int) {
	t.Helper()
	all := make([]series, n)
	x := addrIndex{at: func(i int32) *series { return &all[i] }}
	rng := rand.New(rand.NewPCG(seed, 2))
	want := make(map[netip.Addr]map[int32]bool)
	in := make(map[int32]bool)
	for range steps {
		i := int32(rng.IntN(n))
		if in[i] {
			x.remove(i)
			delete(in, i)
			delete(want[all[i].addr], i)
			continue
		}
		a := netip.AddrFrom4([4]byte{10, byte(rng.IntN(1 + addrs/20)), 0, byte(rng.IntN(addrs))})
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

// TestAddrIndexGrows finds every series again in a larger table.
func TestAddrIndexGrows(t *testing.T) {
	all := make([]series, 1000)
	x := addrIndex{at: func(i int32) *series { return &all[i] }}
	for i := range all {
		all[i].addr = testHost(i)
		x.insert(int32(i))
	}
	for i := range all {
		found := int32(-1)
		x.find(testHost(i), func(j int32, _ *series) bool { found = j; return true })
		if found != int32(i) {
			t.Errorf("series %d: found %d", i, found)
		}
	}
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
