package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

const (
	refresh  = 10 * time.Second
	interval = 10 * time.Second
)

// store is what all probers share: the engine of this test. It is a key for each
// member, that members write again four times in a refresh as they do with NATS.
type store struct {
	mu      sync.Mutex
	off     bool
	split   map[string]int // halves, if the network is in two
	engines []*fakeEngine
	keys    map[string]Member
}

// fakeEngine is a member's view of the store.
type fakeEngine struct {
	store *store
	fleet *Fleet
	self  Member
}

var errOff = errors.New("the store is away")

func (e *fakeEngine) run(ctx context.Context) {
	e.store.mu.Lock()
	e.store.engines = append(e.store.engines, e)
	e.store.mu.Unlock()
	tick := time.NewTicker(refresh / beats)
	defer tick.Stop()
	for {
		e.beat()
		select {
		case <-ctx.Done():
			e.store.mu.Lock()
			e.store.engines = slices.DeleteFunc(e.store.engines, func(o *fakeEngine) bool { return o == e })
			e.store.mu.Unlock()
			return
		case <-tick.C:
		}
	}
}

// beat writes the key, which arrives at all others, and sees what keys there are.
func (e *fakeEngine) beat() {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	if e.store.off {
		e.fleet.away(errOff)
		return
	}
	e.store.keys[e.self.Name] = e.self
	for _, o := range e.store.engines {
		if e.store.split[o.self.Name] == e.store.split[e.self.Name] {
			o.fleet.heard(e.self)
		}
	}
	if !e.fleet.view.known { // a watch begins with all keys that there are
		for _, m := range e.store.keys {
			e.fleet.heard(m)
		}
	}
	e.fleet.works()
}

func (e *fakeEngine) leave(context.Context) (bool, error) {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	delete(e.store.keys, e.self.Name)
	for _, o := range e.store.engines {
		o.fleet.left(e.self.Name)
	}
	return true, nil
}

func (*fakeEngine) close() {}

// prober is a prober of the test. It does what the agent does: it takes its share
// when that changes.
type prober struct {
	*Fleet
	engine  *fakeEngine
	config  *config.Config
	mine    map[string]bool
	release time.Time
	log     *strings.Builder
	stop    func()
}

// rig is a fleet.
type rig struct {
	t       *testing.T
	store   *store
	targets []config.Target
	copies  int
	state   string // folder of the probers' states, "" for none
	probers map[string]*prober
}

func newRig(t *testing.T, copies int) *rig {
	return &rig{t: t, store: &store{keys: make(map[string]Member)}, targets: targets(100), copies: copies, probers: make(map[string]*prober)}
}

// start starts a prober.
func (r *rig) start(name string) *prober {
	c := &config.Config{Agent: config.Agent{Interval: interval}, Targets: r.targets,
		Fleet: config.Fleet{On: true, Member: name, Copies: r.copies, Members: &config.Members{Refresh: refresh}}}
	if r.state != "" {
		c.Agent.State = filepath.Join(r.state, name)
	}
	p := &prober{config: c, log: new(strings.Builder)}
	p.Fleet = newFleet(c, slog.New(slog.NewTextHandler(p.log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.engine = &fakeEngine{store: r.store, fleet: p.Fleet, self: Member{Name: name}}
	p.Fleet.engine = p.engine
	p.Start(ctx)
	p.take()
	r.probers[name] = p
	return p
}

func (p *prober) take() {
	c, next := p.Take(p.config, time.Now())
	p.release, p.mine = next, make(map[string]bool)
	for _, t := range c.Targets {
		p.mine[t.Host] = true
	}
}

// kill ends a prober as SIGKILL does.
func (r *rig) kill(name string) {
	r.probers[name].Close()
	delete(r.probers, name)
}

// run lets time pass, and returns how long the longest time was that some target had
// fewer than want probers, and the most targets that a prober had.
func (r *rig) run(d time.Duration, want int) (gap time.Duration, most int) {
	r.t.Helper()
	const step = 200 * time.Millisecond
	short := make(map[string]time.Duration)
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(step)
		synctest.Wait()
		have := make(map[string]int)
		for _, p := range r.probers {
			select {
			case <-p.Changed():
				p.take()
			default:
				if !p.release.IsZero() && !time.Now().Before(p.release) {
					p.take()
				}
			}
			most = max(most, len(p.mine))
			for host := range p.mine {
				have[host]++
			}
		}
		for i := range r.targets {
			host := r.targets[i].Host
			if have[host] >= want {
				short[host] = 0
				continue
			}
			short[host] += step
			gap = max(gap, short[host])
		}
	}
	return gap, most
}

// end ends all.
func (r *rig) end() {
	for _, p := range r.probers {
		p.Close()
	}
}

// load returns the numbers of targets that the probers have.
func (r *rig) load() (least, most, sum int) {
	least = len(r.targets)
	for _, p := range r.probers {
		least, most, sum = min(least, len(p.mine)), max(most, len(p.mine)), sum+len(p.mine)
	}
	return least, most, sum
}

func (r *rig) startAll() {
	for i := range 5 {
		r.start(fmt.Sprintf("probe-%d", i))
	}
	r.run(3*refresh, 0)
	if _, _, sum := r.load(); sum != r.copies*len(r.targets) {
		r.t.Fatalf("%d probers of targets, want %d", sum, r.copies*len(r.targets))
	}
}

// TestKilled: with two copies no target is without a prober when one is killed, and
// within the hold-down each has two again. With one copy the gap is the hold-down.
func TestKilled(t *testing.T) {
	for copies := 1; copies <= 2; copies++ {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, copies)
			defer r.end()
			r.startAll()
			r.kill("probe-2")
			gap, _ := r.run(20*time.Second+100*time.Millisecond, 1)
			if copies == 1 && (gap < 2*refresh-refresh/beats || gap > 2*refresh) || copies == 2 && gap > 0 {
				t.Errorf("%d copies: a target was without a prober for %v", copies, gap)
			}
			if gap, _ := r.run(time.Minute, copies); gap > 0 {
				t.Errorf("%d copies: too few probers for %v after the hold-down", copies, gap)
			}
			if _, _, sum := r.load(); sum != copies*len(r.targets) {
				t.Errorf("%d probers of targets in the end", sum)
			}
			if log := r.probers["probe-0"].log.String(); strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "probers of the fleet are missing") || !strings.Contains(log, "probe-2") {
				t.Errorf("log %s", log)
			}
		})
	}
}

// TestLeave: when a prober leaves on purpose the others have begun before it stops, and
// when it is back it begins before the others stop.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		defer r.end()
		r.startAll()
		if !r.probers["probe-2"].Leave(t.Context()) {
			t.Fatal("nobody takes over")
		}
		if gap, _ := r.run(2*time.Second, 1); gap > 0 {
			t.Errorf("a target was without a prober for %v", gap)
		}
		r.kill("probe-2")
		if gap, _ := r.run(time.Minute, 1); gap > 0 {
			t.Errorf("a target was without a prober for %v", gap)
		}
		r.start("probe-2")
		if gap, most := r.run(interval, 1); gap > 0 || most > 2*len(r.targets)/5+10 {
			t.Errorf("a target was without a prober for %v; %d targets at once", gap, most)
		}
		r.run(interval+refresh, 1)
		if _, _, sum := r.load(); sum != len(r.targets) {
			t.Errorf("%d probers of targets in the end", sum)
		}
	})
}

// TestAway: while the engine is away all goes on as it was, and when it is back with
// nothing in it nobody takes what is another's.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		defer r.end()
		r.startAll()
		_, before, _ := r.load()
		r.store.mu.Lock()
		r.store.off = true
		r.store.mu.Unlock()
		if gap, most := r.run(10*time.Minute, 1); gap > 0 || most != before {
			t.Errorf("while it was away: a target was without a prober for %v, %d targets at most, want %d", gap, most, before)
		}
		if s := r.probers["probe-1"].Stats(); s.ViewAge < 9*time.Minute || s.ViewAge > 11*time.Minute || s.Members != 5 {
			t.Errorf("%+v", s)
		}
		r.kill("probe-4")
		r.store.mu.Lock()
		r.store.off = false
		clear(r.store.keys)
		r.store.mu.Unlock()
		if _, most := r.run(2*refresh-refresh/beats, 1); most != before {
			t.Errorf("when it was back: %d targets at most, want %d", most, before)
		}
		r.run(refresh+interval, 1)
		if gap, most := r.run(time.Minute, 1); gap > 0 || most <= before {
			t.Errorf("one was killed meanwhile: a target was without a prober for %v; %d targets at most", gap, most)
		}
		log := r.probers["probe-0"].log.String()
		if strings.Count(log, "cannot be read: the last one stays in force") != 1 || strings.Count(log, "can be read again") != 1 {
			t.Errorf("log %s", log)
		}
	})
}

// TestSplit: each half of a network that is in two measures everything, and says so.
func TestSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		defer r.end()
		r.startAll()
		r.store.mu.Lock()
		r.store.split = map[string]int{"probe-3": 1, "probe-4": 1}
		r.store.mu.Unlock()
		r.run(2*refresh+time.Second, 1)
		if gap, _ := r.run(time.Minute, 2); gap > 0 {
			t.Errorf("a half was without a target for %v", gap)
		}
		for name, p := range r.probers {
			if s := p.Stats(); s.Members != map[bool]int{true: 2, false: 3}[r.store.split[name] == 1] || !strings.Contains(p.log.String(), "probers of the fleet are missing") {
				t.Errorf("%s: %+v", name, s)
			}
		}
		r.store.mu.Lock()
		r.store.split = nil
		r.store.mu.Unlock()
		if gap, _ := r.run(time.Minute, 1); gap > 0 {
			t.Errorf("a target was without a prober for %v", gap)
		}
		if _, _, sum := r.load(); sum != len(r.targets) {
			t.Errorf("%d probers of targets in the end", sum)
		}
	})
}

// TestUnknown: a prober that never hears of the others measures everything, and says
// so; when it hears of them it holds the rest for as long as it has to.
func TestUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		defer r.end()
		r.startAll()
		r.store.off = true
		began := time.Now()
		p := r.start("probe-9")
		if waited := time.Since(began); waited != firstWait || len(p.mine) != len(r.targets) || !p.Stats().Waiting || p.Stats().ViewAge >= 0 {
			t.Errorf("after %v: %d targets, %+v", waited, len(p.mine), p.Stats())
		}
		if log := p.log.String(); !strings.Contains(log, "measuring all targets until they are") {
			t.Errorf("log %s", log)
		}
		r.run(time.Minute, 1)
		r.store.mu.Lock()
		r.store.off = false
		r.store.mu.Unlock()
		if gap, _ := r.run(time.Minute, 1); gap > 0 {
			t.Errorf("a target was without a prober for %v", gap)
		}
		if _, _, sum := r.load(); sum != len(r.targets) || p.Stats().Waiting {
			t.Errorf("%d probers of targets in the end, %+v", sum, p.Stats())
		}
	})
}

// TestRestart: a prober that starts while the engine is away goes on with its part, by
// the list that it has kept, and nobody takes what is another's when the engine is back
// with nothing in it.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.state = t.TempDir()
		defer r.end()
		r.startAll()
		before := make(map[string]map[string]bool)
		for name, p := range r.probers {
			before[name] = p.mine
		}
		_, most, _ := r.load()
		r.run(time.Minute, 1) // the copy says when that was
		r.store.mu.Lock()
		r.store.off = true
		clear(r.store.keys)
		r.store.mu.Unlock()
		r.run(time.Minute, 1)
		r.kill("probe-2")
		r.kill("probe-4") // for good
		p := r.start("probe-2")
		if !maps.Equal(p.mine, before["probe-2"]) {
			t.Errorf("%d targets after the restart, want the %d from before", len(p.mine), len(before["probe-2"]))
		}
		if s := p.Stats(); s.Waiting || s.Members != 5 || s.ViewAge < time.Minute || s.ViewAge > time.Minute+firstWait+refresh {
			t.Errorf("%+v", s)
		}
		if log := p.log.String(); !strings.Contains(log, "the list from before the start is in force until they are") || !strings.Contains(log, "members=5 age=1m") {
			t.Errorf("log %s", log)
		}
		r.run(time.Minute, 0)
		r.store.mu.Lock()
		r.store.off = false
		r.store.mu.Unlock()
		if _, got := r.run(2*refresh-refresh/beats, 0); got != most {
			t.Errorf("when it was back: %d targets at most, want %d", got, most)
		}
		r.run(2*refresh+interval, 0)
		if gap, _ := r.run(time.Minute, 1); gap > 0 || p.Stats().Members != 4 {
			t.Errorf("a target was without a prober for %v, %+v", gap, p.Stats())
		}
		if _, _, sum := r.load(); sum != len(r.targets) {
			t.Errorf("%d probers of targets in the end", sum)
		}
	})
}

// TestLies: a list that is too long, or changes all the time, costs little.
func TestLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		defer r.end()
		p := r.start("probe-0")
		for i := range 2 * config.MaxMembers {
			p.heard(Member{Name: fmt.Sprintf("liar-%d", i)})
		}
		if s := p.Stats(); s.Members != config.MaxMembers {
			t.Errorf("%d members", s.Members)
		}
		if n := strings.Count(p.log.String(), "more members than pingtel takes"); n != 1 {
			t.Errorf("%d messages", n)
		}
		taken := 0
		for range 1000 {
			p.left("liar-1")
			p.heard(Member{Name: "liar-1"})
			time.Sleep(10 * time.Millisecond)
			select {
			case <-p.Changed():
				taken++
				p.take()
			default:
			}
		}
		if taken < 5 || taken > 11 {
			t.Errorf("the share changed %d times in 10 s", taken)
		}
	})
}
