package path

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestPlaceOfLoss draws many traces in which chance loses a part of the echoes from one
// hop on, and of some a router limits its answers. The verdict must place the loss
// rightly, or not at all.
func TestPlaceOfLoss(t *testing.T) {
	const hops, runs = 7, 2000
	for _, tt := range []struct {
		echoes      int
		part        float64
		wrong, none float64 // shares of the verdicts, at most
	}{
		{20, 0.5, 0.002, 0.002},
		{20, 0.33, 0.004, 0.004},
		{20, 0.2, 0.04, 0.08},
		{50, 0.2, 0.004, 0.004},
		{100, 0.1, 0.004, 0.01},
	} {
		rng := rand.New(rand.NewPCG(1, 2))
		wrong, none := 0, 0
		for run := range runs {
			begin, limited := run%hops, -1
			if run%3 == 0 {
				limited = rng.IntN(hops - 1)
			}
			tr := &Trace{Reached: true, Sent: hops * tt.echoes}
			for i := range hops {
				h := Hop{TTL: i + 1, Sent: tt.echoes, Target: i == hops-1, From: []Address{{Addr: netip.AddrFrom4([4]byte{198, 18, 200, byte(i)})}}}
				for range tt.echoes {
					if i < begin || rng.Float64() >= tt.part {
						h.Answers++
					}
				}
				if i == limited {
					h.Answers = min(h.Answers, tt.echoes/5)
				}
				tr.Hops = append(tr.Hops, h)
			}
			tr.EndSent, tr.EndReceived = tt.echoes, tr.Hops[hops-1].Answers
			v := Judge(tr, nil, Series{})
			switch {
			case v.Cause != LossBeyond && v.Cause != TargetItself:
				none++
			case v.LastHop != begin && !(limited == begin-1 && v.LastHop == begin-1):
				wrong++
			}
		}
		t.Logf("%d echoes, %.0f %% lost: %d of %d wrong, %d not placed", tt.echoes, 100*tt.part, wrong, runs, none)
		if float64(wrong) > tt.wrong*runs || float64(none) > tt.none*runs {
			t.Errorf("%d echoes, %.0f %% lost: %d of %d places are wrong and %d not placed", tt.echoes, 100*tt.part, wrong, runs, none)
		}
	}
}
