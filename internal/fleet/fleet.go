package fleet

import (
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// Stats says how this prober stands in its fleet.
type Stats struct {
	Prober  string // name of this prober
	Members int    // probers, this one included
	Owned   int    // targets of this prober
	Changes uint64 // of the list of members, since the start

	// ViewAge is how long ago it was last known who is there. It is negative where
	// that is fixed, or where it has never been known.
	ViewAge time.Duration
}

// Fleet knows the probers that share a list of targets, and which of the targets are
// this prober's. Make one with [New].
type Fleet struct {
	log *slog.Logger

	mu        sync.Mutex // guards what follows
	config    config.Fleet
	ownership *Ownership
	share     Share
	changes   uint64
}

// New returns the fleet that c describes.
func New(c *config.Config, log *slog.Logger) *Fleet {
	f := &Fleet{log: log}
	f.setConfig(c.Fleet)
	return f
}

// setConfig takes over the settings of a file. f.mu is held, except in New.
func (f *Fleet) setConfig(c config.Fleet) {
	if f.ownership != nil && f.config == c {
		return
	}
	if f.ownership != nil {
		f.changes++
	}
	f.config = c
	self, members := Member{Name: c.Member, Zone: c.Zone}, []Member(nil)
	copies := c.Copies
	if c.Shards > 0 {
		self = shard(c.Shard)
		for i := range c.Shards {
			members = append(members, shard(i))
		}
	} else {
		copies = 1
	}
	f.ownership = NewOwnership(self, members, copies)
}

// shard is a prober that is known by its number.
func shard(number int) Member { return Member{Name: strconv.Itoa(number)} }

// Take returns c with the targets alone that this prober measures from now on; see
// [Share.Take]. It returns when it has to be called again, or zero.
func (f *Fleet) Take(c *config.Config, now time.Time) (*config.Config, time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.setConfig(c.Fleet)
	mine := *c
	var next time.Time
	mine.Targets, next = f.share.Take(f.ownership, c.Targets, now, c.IntervalOf)
	return &mine, next
}

// Stats returns how this prober stands.
func (f *Fleet) Stats() *Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &Stats{Prober: f.config.Member, Members: len(f.ownership.members), Owned: f.share.owned, Changes: f.changes, ViewAge: -1}
}
