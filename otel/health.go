package otel

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// maxCauses bounds how many causes of one outage are logged.
const maxCauses = 10

// health logs pushes that fail: one record when that begins, one for each further
// cause, and one when it is over.
type health struct {
	store    *Store // counts the pushes that failed
	rejected int64  // points that receivers have rejected since the start

	since        time.Time    // when the first push failed; zero while pushes succeed
	causes       []string     // logged since then
	last         *ExportError // of the last push
	failedBefore uint64       // the counts at since
	rejectedThen int64
	lostThen     uint64
	lost         uint64
}

// note records how the push made at now ended. lost is how many streams have been
// lost since the start.
func (h *health) note(log *slog.Logger, now time.Time, e *ExportError, lost uint64) {
	defer func() { h.last, h.lost = e, lost }()
	if e == nil {
		if !h.since.IsZero() {
			log.Info("pushes succeed again", h.losses(now, lost)...)
			h.since, h.rejectedThen, h.causes = time.Time{}, h.rejected, nil
		}
		return
	}
	if h.since.IsZero() {
		h.since, h.failedBefore, h.lostThen = now, h.store.failed.Load(), h.lost
	}
	h.store.failed.Add(1)
	switch cause := causeOf(e); {
	case len(h.causes) == maxCauses || slices.Contains(h.causes, cause):
		log.Debug("a push has failed again", "error", e)
		return
	case taken(e):
		log.Warn("a push was taken in part: measuring goes on, rejected points are not sent again", "error", e)
	default:
		log.Warn("a push has failed: measuring goes on, the next push carries the counts", "error", e)
	}
	h.causes = append(h.causes, causeOf(e))
}

// causeOf returns the text of e without its digits: errors that differ only in
// numbers, such as ports and request ids, have one cause.
func causeOf(e *ExportError) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, e.Error())
}

// losses returns what failed pushes have cost, as attributes of a record. Counts are
// among them only if they could not be kept. The gauges of that time are always lost.
func (h *health) losses(now time.Time, lost uint64) []any {
	a := []any{"failed_pushes", h.store.failed.Load() - h.failedBefore, "after", now.Sub(h.since).Round(time.Second)}
	if n := h.rejected - h.rejectedThen; n > 0 {
		a = append(a, "points_rejected", n)
	}
	if n := lost - h.lostThen; n > 0 {
		a = append(a, "series_lost", n)
	}
	return a
}

// end logs what is lost at the end. left is how many of all targets have counts that
// no push has delivered.
func (h *health) end(log *slog.Logger, left, all int) {
	switch {
	case h.last == nil:
	case taken(h.last):
		log.Warn("the last push was taken in part: rejected points are lost", h.losses(time.Now(), h.lost)...)
	default:
		a := append(h.losses(time.Now(), h.lost), "targets_lost", left, "of", all, "error", h.last)
		log.Warn("the last push did not get through: the counts that no push has delivered are lost", a...)
	}
}
