package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/testlog"
)

// begin is when the tests begin: shortly before midnight, so that some have two days.
var begin = time.Date(2026, 11, 27, 20, 0, 0, 0, time.UTC)

// open opens a history that the test ends without closing it, as a kill would.
func open(t testing.TB, dir string, now time.Time) (*History, *testlog.Buffer) {
	t.Helper()
	log := new(testlog.Buffer)
	h, err := Open(Options{Dir: dir, Keep: 30 * 24 * time.Hour, MaxSize: 1 << 30, Log: slog.New(slog.NewTextHandler(log, nil)), Now: now, noSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return h, log
}

func id(host string) ID { return ID{Host: host, Tags: []config.Tag{{Key: "site", Value: "lab"}}} }

// result returns the result of a round at a time.
func result(at time.Time, sent int, rtts ...time.Duration) *icmpcore.PingResult {
	r := &icmpcore.PingResult{Start: at, Sent: sent, Received: len(rtts), RTTs: rtts}
	if n := len(rtts); n > 1 {
		mean := 0.0
		for _, d := range rtts {
			mean += float64(d) / float64(n)
		}
		squares := 0.0
		for _, d := range rtts {
			squares += (float64(d) - mean) * (float64(d) - mean)
		}
		r.Jitter = time.Duration(math.Sqrt(squares / float64(n-1)))
	}
	return r
}

// noisy returns round-trip times as a path of 20 ms with queues gives them.
func noisy(rnd *rand.Rand, n int) []time.Duration {
	rtts := make([]time.Duration, n)
	for i := range rtts {
		rtts[i] = 20*time.Millisecond + time.Duration(rnd.ExpFloat64()*float64(1500*time.Microsecond))
	}
	return rtts
}

// total returns the sum of the columns of a time.
func total(t testing.TB, h *History, k Key, from, to time.Time) *Sum {
	t.Helper()
	columns, err := h.Columns(k, from.Unix(), to.Unix(), to.Unix()-from.Unix())
	if err != nil {
		t.Fatal(err)
	}
	all := new(Sum)
	for i := range columns {
		all.Add(&columns[i])
	}
	return all
}

// Any percentile of any window is that of all its round-trip times within 2 %,
// whether the rounds are in memory, packed or on disk.
func TestPercentilesOfAnyWindow(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 17))
		dir := ""
		if seed%2 == 0 {
			dir = t.TempDir()
		}
		h, _ := open(t, dir, begin)
		s := h.Series(id("a.example"))
		scale := math.Exp(rnd.Float64()*16) * 1e3 // from 1 µs to 9 s
		var raw []*icmpcore.PingResult
		at := begin
		for range 1500 {
			rtts := make([]time.Duration, rnd.IntN(6))
			if rnd.IntN(200) == 0 {
				rtts = make([]time.Duration, 30) // more than manyReplies
			}
			for i := range rtts {
				rtts[i] = 1 + time.Duration(scale*math.Exp(rnd.NormFloat64()*float64(seed%4)/3))
				if rnd.IntN(30) == 0 {
					rtts[i] *= 20
				}
			}
			r := result(at, len(rtts)+rnd.IntN(2), rtts...)
			if r.Sent > 0 {
				raw = append(raw, r)
				s.Record(r)
			}
			at = at.Add(10 * time.Second)
			if rnd.IntN(100) == 0 {
				at = at.Add(time.Duration(rnd.IntN(3600)) * time.Second)
			}
			if rnd.IntN(40) == 0 {
				h.Sweep(at)
			}
		}
		for range 60 {
			from := begin.Add(time.Duration(rnd.IntN(int(at.Sub(begin)/time.Second))) * time.Second)
			to := from.Add(time.Duration(1+rnd.IntN(20000)) * time.Second)
			columns, err := h.Columns(s.Key(), from.Unix(), to.Unix(), to.Unix()-from.Unix())
			if err != nil {
				t.Fatal(err)
			}
			checkWindow(t, &columns[0], raw, from, to)
		}
	}
}

func checkWindow(t *testing.T, got *Sum, raw []*icmpcore.PingResult, from, to time.Time) {
	t.Helper()
	var rtts []time.Duration
	sent, squares, freedom := 0, 0.0, 0.0
	for _, r := range raw {
		if r.Start.Before(from) || !r.Start.Before(to) {
			continue
		}
		rtts = append(rtts, r.RTTs...)
		sent += r.Sent
		if n := float64(len(r.RTTs) - 1); n > 0 {
			squares += r.Jitter.Seconds() * r.Jitter.Seconds() * n
			freedom += n
		}
	}
	if got.Counts[Sent] != uint64(sent) || got.Counts[Received] != uint64(len(rtts)) || got.RTTs.Total() != uint64(len(rtts)) {
		t.Fatalf("%v to %v: %d sent, %d received, want %d, %d", from, to, got.Counts[Sent], got.Counts[Received], sent, len(rtts))
	}
	if len(rtts) == 0 {
		return
	}
	slices.Sort(rtts)
	ps := []float64{0, 5, 50, 95, 99, 100}
	for i, v := range got.RTTs.Percentiles(ps...) {
		if want := icmpcore.Percentile(rtts, ps[i]).Seconds(); math.Abs(v-want) > 0.02*want+1e-9 {
			t.Fatalf("%v to %v: p%v of %d RTTs is %v, want %v", from, to, ps[i], len(rtts), v, want)
		}
	}
	if jitter, ok := got.Jitter(); ok {
		if want := math.Sqrt(squares / freedom); math.Abs(jitter-want) > 0.021*want+2e-9 {
			t.Fatalf("%v to %v: jitter %v, want %v", from, to, jitter, want)
		}
	}
}

// Coarser levels are sums of finer ones.
func TestColumnsAddUp(t *testing.T) {
	h, _ := open(t, "", begin)
	s := h.Series(id("a.example"))
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 1000 {
		s.Record(result(begin.Add(time.Duration(i)*10*time.Second), 5, noisy(rnd, 5-i%3)...))
	}
	end := begin.Add(10000 * time.Second)
	want := total(t, h, s.Key(), begin, end)
	for _, step := range []int64{1, 10, 70, 600, 7200, 20000} {
		columns, err := h.Columns(s.Key(), begin.Unix(), end.Unix(), step)
		if err != nil {
			t.Fatal(err)
		}
		var all Sum
		for i := range columns {
			all.Add(&columns[i])
		}
		if all.Rounds != want.Rounds || all.Counts != want.Counts || !slices.Equal(all.RTTs.Percentiles(1, 50, 99), want.RTTs.Percentiles(1, 50, 99)) {
			t.Errorf("step %d: %+v, want %+v", step, all.Counts, want.Counts)
		}
	}
}

// What is not a reply has a count of its own, and a round that could not be sent is
// neither loss nor nothing.
func TestStates(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		h, _ := open(t, dir, begin)
		s := h.Series(id("a.example"))
		down := result(begin.Add(10*time.Second), 5)
		down.Late, down.Duplicates, down.Corrupt = 1, 2, 3
		for _, k := range []icmpcore.ErrorKind{icmpcore.DestinationUnreachable, icmpcore.DestinationUnreachable, icmpcore.TimeExceeded, icmpcore.PacketTooBig, icmpcore.ParameterProblem, icmpcore.SendFailed} {
			down.Errors = append(down.Errors, icmpcore.EchoError{Kind: k})
		}
		noName := &icmpcore.PingResult{Start: begin.Add(20 * time.Second), Err: &icmpcore.ResolveError{Host: "a.example", Err: &net.DNSError{IsNotFound: true}}}
		noDNS := &icmpcore.PingResult{Start: begin.Add(25 * time.Second), Err: &icmpcore.ResolveError{Host: "a.example", Err: &net.DNSError{IsTimeout: true}}}
		noRoute := &icmpcore.PingResult{Start: begin.Add(30 * time.Second), Err: &icmpcore.SendError{Err: errors.New("no route")}}
		ended := &icmpcore.PingResult{Start: begin.Add(40 * time.Second), Err: context.Canceled}
		for _, r := range []*icmpcore.PingResult{result(begin, 5, 1e6, 2e6), down, noName, noDNS, noRoute, ended} {
			s.Record(r)
		}
		for _, sealed := range []bool{false, true} {
			if sealed {
				h.Sweep(begin.Add(2 * time.Hour))
			}
			columns, err := h.Columns(s.Key(), begin.Unix(), begin.Unix()+50, 10)
			if err != nil {
				t.Fatal(err)
			}
			want := [][counts]uint64{
				{Sent: 5, Received: 2},
				{Sent: 5, Late: 1, Duplicates: 2, Corrupt: 3, DestinationUnreachable: 2, TimeExceeded: 1, PacketTooBig: 1, ParameterProblem: 1, SendFailed: 1},
				{Unresolved: 1, LookupFailed: 1},
				{Unsent: 1},
				{},
			}
			for i, w := range want {
				if columns[i].Counts != w {
					t.Errorf("dir %q, sealed %v, column %d: %v, want %v", dir, sealed, i, columns[i].Counts, w)
				}
			}
			if loss, ok := columns[1].Loss(); loss != 1 || !ok {
				t.Errorf("loss of a target that is down: %v, %v", loss, ok)
			}
			if _, ok := columns[2].Loss(); ok || columns[4].Rounds != 0 {
				t.Errorf("a round without echoes has a loss, or one that was cut short is there")
			}
		}
		if st := h.States(); len(st) != 1 || st[0].Cause != Unsent || st[0].Sent != 10 || st[0].Received != 2 || st[0].Last != begin.Unix()+30 {
			t.Errorf("state %+v", st)
		}
	}
}

// The prober was away where it did not run, and only there.
func TestRunning(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir, begin)
	for i := range 31 {
		h.Sweep(begin.Add(time.Duration(i) * 10 * time.Second))
	}
	h.Sweep(begin.Add(20 * time.Minute)) // the process was stopped before
	h.store.close()                      // and is killed now
	again := begin.Add(5 * time.Hour)    // on the next day
	h, _ = open(t, dir, again)
	h.Sweep(again.Add(5 * time.Second))
	h.Sweep(again.Add(-time.Hour)) // the clock was set back
	h.Sweep(again.Add(-time.Hour + 10*time.Second))
	got, err := h.Running(begin.Unix(), again.Unix()+100)
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) int64 { return begin.Add(d).Unix() }
	want := []Span{
		{at(0), at(5 * time.Minute)}, {at(20 * time.Minute), at(20 * time.Minute)},
		{at(4 * time.Hour), at(4*time.Hour + 10*time.Second)}, {at(5 * time.Hour), at(5*time.Hour + 5*time.Second)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("running %v, want %v", got, want)
	}
}

// A changed count, size or address goes on in the same history; another tag, family
// or code point does not.
func TestIdentity(t *testing.T) {
	h, _ := open(t, "", begin)
	a := id("a.example")
	s := h.Series(a)
	s.Record(result(begin, 5, 1e6))
	s.Remove()
	if h.Series(id("a.example")) != s || len(h.States()) != 1 {
		t.Error("the same host and tags have another history")
	}
	other := []ID{{Host: "a.example"}, {Host: "a.example", Family: icmpcore.FamilyIPv6, Tags: a.Tags}, {Host: "a.example", DSCP: 46, Tags: a.Tags}, {Host: "a.examplesite", Tags: []config.Tag{{Key: "", Value: "lab"}}}}
	seen := map[Key]bool{s.Key(): true}
	for _, o := range other {
		k := h.Series(o).Key()
		if seen[k] {
			t.Errorf("%+v has the history of another", o)
		}
		seen[k] = true
		if got, ok := decodeID(o.encode()); !ok || got.key() != k {
			t.Errorf("%+v decodes as %+v", o, got)
		}
		if back, err := ParseKey(k.String()); back != k || err != nil {
			t.Errorf("%v parses as %v, %v", k, back, err)
		}
	}
}

// A target that is removed from the file leaves memory, and its history stays.
func TestRemoved(t *testing.T) {
	h, _ := open(t, t.TempDir(), begin)
	s := h.Series(id("a.example"))
	s.Record(result(begin, 5, 1e6))
	s.Remove()
	h.Sweep(begin.Add(2 * time.Hour))
	h.Sweep(begin.Add(2*time.Hour + sweepTime))
	if n := len(h.all()); n != 0 {
		t.Errorf("%d series are in memory", n)
	}
	if got, ok := h.Lookup(s.Key()); !ok || got.key() != s.key {
		t.Errorf("the store has no such target: %+v", got)
	}
	if all := total(t, h, s.Key(), begin, begin.Add(time.Hour)); all.Counts[Sent] != 5 {
		t.Errorf("%d sent", all.Counts[Sent])
	}
}

// A clock that is set back, also to the same second again, makes no round disappear
// and moves none.
func TestClockBack(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		h, _ := open(t, dir, begin)
		s := h.Series(id("a.example"))
		for i, at := range []int{0, 10, 20, 0, 10, 0, -30, 3600} {
			s.Record(result(begin.Add(time.Duration(at)*time.Second), 1, time.Duration(i+1)*time.Millisecond))
		}
		h.Sweep(begin.Add(10 * time.Hour))
		columns, err := h.Columns(s.Key(), begin.Unix()-30, begin.Unix()+30, 10)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, c := range columns {
			got = append(got, c.Rounds)
		}
		if want := []uint64{1, 0, 0, 3, 2, 1}; !slices.Equal(got, want) {
			t.Errorf("dir %q: rounds %v, want %v", dir, got, want)
		}
	}
}

// A history in memory is bounded by size and by age: the oldest leave first.
func TestMemoryBounds(t *testing.T) {
	h, err := Open(Options{Keep: 10 * time.Hour, MaxSize: 20_000, Log: slog.New(slog.DiscardHandler), Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	list := []*Series{h.Series(id("a.example")), h.Series(id("b.example"))}
	now := begin
	for range 20 * 360 {
		for _, s := range list {
			s.Record(result(now, 5, noisy(rnd, 5)...))
		}
		now = now.Add(10 * time.Second)
		h.Sweep(now)
	}
	m := h.store.(*memory)
	if m.size > 20_000 || m.size < 15_000 {
		t.Errorf("%d bytes", m.size)
	}
	for _, s := range list {
		if n := total(t, h, s.Key(), now.Add(-3*time.Hour), now).Rounds; n != 3*360 {
			t.Errorf("%d rounds in the last three hours", n)
		}
	}
	h.Sweep(now.Add(24 * time.Hour))
	h.Sweep(now.Add(25 * time.Hour))
	if m.size != 0 || len(m.of) != 0 {
		t.Errorf("%d bytes are left of %d targets when all is too old", m.size, len(m.of))
	}
}

// A damaged block is an error, never figures.
func FuzzBlock(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var b block
	b.start, b.last = begin.Unix(), begin.Unix()
	for i := range 50 {
		r := result(begin.Add(time.Duration(i)*time.Second), 5, noisy(rnd, 5)...)
		s, _ := shapeOf(r)
		b.add(r.Start.Unix(), s, r, nil)
	}
	c := b.copied()
	f.Add(c.pack(), c.head, c.body)
	f.Fuzz(func(t *testing.T, packed, head, body []byte) {
		rounds := 0
		count := func(int64) *Sum { rounds++; return nil }
		if b, err := unpack(packed); err == nil {
			_ = b.each(count)
		}
		if len(head) > 1000 || len(body) > 1000 {
			return
		}
		free := block{head: head, body: body, base: 100}
		_ = free.each(func(int64) *Sum {
			if rounds++; rounds > 2*maxRounds {
				t.Fatal("endless")
			}
			return nil
		})
	})
}

func BenchmarkRecord(b *testing.B) {
	h, _ := open(b, "", begin)
	rnd := rand.New(rand.NewPCG(1, 2))
	results := make([]*icmpcore.PingResult, 1000)
	for i := range results {
		results[i] = result(begin, 5, noisy(rnd, 5)...)
	}
	list := make([]*Series, 1000)
	for i := range list {
		list[i] = h.Series(id(fmt.Sprint(i)))
	}
	b.ResetTimer()
	for i := range b.N {
		r := *results[i%1000]
		r.Start = begin.Add(time.Duration(i/1000) * 10 * time.Second)
		list[i%1000].Record(&r)
	}
}
