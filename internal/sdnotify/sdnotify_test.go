package sdnotify

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWatchWhileAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var told []time.Duration
		alive := func() bool { d := time.Since(start); return d < 30*time.Second || d > 50*time.Second }
		tell := func() error { told = append(told, time.Since(start)); return nil }
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		if err := watch(ctx, 10*time.Second, alive, tell); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 60 * time.Second}
		if d := cmp.Diff(want, told); d != "" {
			t.Errorf("told (-want +got):\n%s", d)
		}
	})
}
