package output

import (
	"sync"

	"go.opentelemetry.io/otel/attribute"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
	"github.com/pingtel/pingtel/internal/monitor"
	"github.com/pingtel/pingtel/internal/path"
	"github.com/pingtel/pingtel/otel"
)

// Store is an [otel.Store] that takes results of the monitor. Make one with
// [NewStore].
type Store struct {
	*otel.Store

	mu         sync.Mutex // guards what follows
	targets    map[*monitor.Target]*otel.Target
	attributes map[*config.Probe][]attribute.KeyValue // tags of a probe, which its targets share
}

// NewStore returns an empty store with the options o, whose Version and Self are
// those of the process.
func NewStore(o otel.StoreOptions, env Env) (*Store, error) {
	o.Version = env.Version
	o.Self = func() otel.Self {
		own := env.Own()
		self := otel.Self{
			Targets: own.Schedule.Targets, Skipped: own.Schedule.Skipped + own.Schedule.Missed,
			Foreign: own.Engine.Foreign, KernelDrops: own.Engine.KernelDrops, Sources: len(own.Sources),
		}
		if f := own.Fleet; f != nil {
			self.Fleet = &otel.FleetSelf{Members: f.Members, Owned: f.Owned, Changes: f.Changes, ViewAge: f.ViewAge}
		}
		for _, s := range own.Sources {
			self.SourceAge = max(self.SourceAge, s.Age)
			self.SourceFailures += s.Failures
		}
		return self
	}
	st, err := otel.NewStore(o)
	if err != nil {
		return nil, err
	}
	return &Store{Store: st, targets: make(map[*monitor.Target]*otel.Target), attributes: make(map[*config.Probe][]attribute.KeyValue)}, nil
}

// Record counts the result of one series.
func (s *Store) Record(t *monitor.Target, r *icmpcore.PingResult) {
	s.mu.Lock()
	target := s.targets[t]
	if target == nil {
		target = s.Add(otel.TargetOptions{
			Host: t.Host, Family: t.Options.Family, DSCP: t.Options.DSCP, Attributes: s.attributesOf(t.Probe),
		})
		s.targets[t] = target
	}
	s.mu.Unlock()
	s.Store.Record(target, r)
}

// RecordPath counts what is known of the path to a target.
func (s *Store) RecordPath(t *monitor.Target, p *Path) {
	s.mu.Lock()
	target := s.targets[t]
	s.mu.Unlock()
	if target == nil {
		return // it is gone, or has no result yet
	}
	o := otel.Path{Changed: p.Before != nil, Last: p.Verdict.LastAddress}
	switch p.Verdict.Cause {
	case path.None, path.RateLimited, path.Changed: // no place where loss begins
	default:
		o.Broken = p.Loss
	}
	if p.Trace != nil {
		o.Hops = p.Trace.Length()
	}
	s.Store.RecordPath(target, o)
}

// attributesOf returns the tags of a probe. s.mu is held.
func (s *Store) attributesOf(p *config.Probe) []attribute.KeyValue {
	kvs, ok := s.attributes[p]
	if !ok {
		for _, tag := range p.Tags {
			kvs = append(kvs, attribute.String(tag.Key, tag.Value))
		}
		s.attributes[p] = kvs
	}
	return kvs
}

// Forget ends the series of a target.
func (s *Store) Forget(t *monitor.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if target := s.targets[t]; target != nil {
		s.Remove(target)
		delete(s.targets, t)
	}
	delete(s.attributes, t.Probe) // of an old file; a target of it that stays makes them again if it has to
}
