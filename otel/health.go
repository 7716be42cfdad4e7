package otel

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// health tells of pushes that fail: one line when that begins, one when it is
// over.
type health struct {
	log      *slog.Logger
	failed   atomic.Uint64 // pushes, since the start
	rejected int64         // points that the collector has refused for good, since the start

	since        time.Time // of the first push that failed; zero while all is well
	inPart       bool      // all of them since then were taken, if in part
	last         error     // of the last push
	failedBefore uint64    // the counts at that time
	rejectedThen int64
	lostThen     uint64
	lost         uint64
}

// note takes down how the push made at now went. lost is how many streams have
// been lost since the start.
func (h *health) note(now time.Time, err error, lost uint64) {
	defer func() { h.last, h.lost = err, lost }()
	if err == nil {
		if !h.since.IsZero() {
			h.log.Info("pushes succeed again", h.losses(now, lost)...)
			h.since, h.rejectedThen = time.Time{}, h.rejected
		}
		return
	}
	begins := h.since.IsZero()
	if begins {
		h.since, h.failedBefore, h.lostThen = now, h.failed.Load(), h.lost
	}
	h.failed.Add(1)
	switch {
	case begins && taken(err):
		h.log.Warn("a push was taken in part: measuring goes on, rejected points are not sent again", "error", err)
	case begins || h.inPart && !taken(err): // which is another matter
		h.log.Warn("a push has failed: measuring goes on, counts are kept for the next push", "error", err)
	default:
		h.log.Debug("a push has failed again", "error", err)
	}
	h.inPart = (begins || h.inPart) && taken(err)
}

// losses are what a time of failed pushes has cost: its gauges, which the next
// series has overwritten, and counts only where something could not be kept.
func (h *health) losses(now time.Time, lost uint64) []any {
	a := []any{"failed_pushes", h.failed.Load() - h.failedBefore, "after", now.Sub(h.since).Round(time.Second)}
	if n := h.rejected - h.rejectedThen; n > 0 {
		a = append(a, "points_rejected", n)
	}
	if n := lost - h.lostThen; n > 0 {
		a = append(a, "series_lost", n)
	}
	return a
}

// end says what is lost where the last push failed.
func (h *health) end() {
	switch a := h.losses(time.Now(), h.lost); {
	case h.last == nil:
	case taken(h.last):
		h.log.Warn("the last push was taken in part: rejected points are lost", a...)
	default:
		h.log.Warn("the last push has failed: what no push before it has delivered is lost", a...)
	}
}
