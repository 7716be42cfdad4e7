package explain

import (
	"testing"
	"time"
)

// TestBudget: what traces may take of each rate.
func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		schedule   float64
		maxRate    int
		rate, most float64
	}{
		{100, 10_000, leastRate, mostSaved}, {5000, 10_000, 30, mostSaved}, {9995, 10_000, 5, mostSaved}, {20_000, 10_000, 1, mostSaved},
		{100, 1000, leastRate, 100}, {5, 8, 3, 1}, {40_000, -1, 240, mostSaved},
	} {
		var b budget
		b.set(0.006, tt.schedule, tt.maxRate)
		if b.rate != tt.rate || b.most != tt.most {
			t.Errorf("%g echoes a second of at most %d: %g and %g saved, want %g and %g", tt.schedule, tt.maxRate, b.rate, b.most, tt.rate, tt.most)
		}
	}
}

// TestSpend follows a budget of 20 echoes a second, of which 100 are saved.
func TestSpend(t *testing.T) {
	b := budget{rate: 20, most: 100, tokens: 100}
	now := time.Unix(1000, 0)
	for _, step := range []struct {
		after time.Duration
		n     int
		spare bool
		ok    bool
		left  float64
	}{
		{0, 30, true, true, 70}, {0, 20, true, true, 50}, {0, 1, true, false, 50}, {0, 50, false, true, 0}, {0, 1, false, false, 0},
		{time.Second, 20, false, true, 0}, {time.Hour, 0, false, true, 100}, {0, 60, true, true, 40}, {0, 300, false, false, 40},
		{3 * time.Second, 300, false, true, -200}, {10 * time.Second, 1, false, false, 0}, {-time.Hour, 1, false, false, 0},
		{time.Hour + 10*time.Second, 300, true, true, -200},
	} {
		now = now.Add(step.after)
		spend := b.spend
		if step.spare {
			spend = b.spare
		}
		if ok := spend(step.n, now); ok != step.ok || b.tokens != step.left {
			t.Errorf("%+v: %v, %g left", step, ok, b.tokens)
		}
	}
}
