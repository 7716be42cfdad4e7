package otel

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// fakeClient is a collector that is asked by a function.
type fakeClient func(ctx context.Context) error

func (f fakeClient) export(ctx context.Context, _ []byte) error { return f(ctx) }

func (f fakeClient) close() error { return nil }

// running starts a pusher with this interval and client.
func running(t *testing.T, interval time.Duration, c fakeClient) (p *Pusher, stop func()) {
	t.Helper()
	p, _ = newTestPusher(t, config.OTel{Interval: &interval}, "localhost:1", "http/protobuf")
	p.client = c
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return p, func() {
		cancel()
		<-ended
	}
}

// TestPause: a collector that asks to be left alone is, for five minutes at
// most, and then is pushed to at the time that it would have been.
func TestPause(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		0: 13 * time.Second, 10 * time.Second: 13 * time.Second, 42 * time.Second: 53 * time.Second, time.Hour: 303 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var at []time.Duration
			_, stop := running(t, 10*time.Second, func(context.Context) error {
				at = append(at, time.Since(start))
				return &pushError{wait: wait, err: errors.New("busy")}
			})
			time.Sleep(310 * time.Second)
			stop()
			if len(at) < 2 || at[0] != firstPush || at[1] != want {
				t.Errorf("asked for %v: pushes at %v, want the second at %v", wait, at, want)
			}
		})
	}
}

// TestReloadAtOnce: a shorter interval counts from the reload on, a longer one
// from the next push.
func TestReloadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		p, stop := running(t, time.Hour, func(context.Context) error {
			at = append(at, time.Since(start))
			return nil
		})
		next := *p.settings
		for _, interval := range []time.Duration{5 * time.Second, time.Minute} {
			time.Sleep(9 * time.Second)
			next.Interval = interval
			p.Reload(&next)
		}
		time.Sleep(65 * time.Second)
		stop()
		if want := []time.Duration{3 * time.Second, 14 * time.Second, 19 * time.Second, 79 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("pushes at %v, want %v", at, want)
		}
	})
}

// TestEndDuringPush: a push under way at the end is let finish, so that the
// last one need not send the same again, but not for ever.
func TestEndDuringPush(t *testing.T) {
	for answers, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: graceTime} {
		synctest.Test(t, func(t *testing.T) {
			var got error
			_, stop := running(t, time.Minute, func(ctx context.Context) error {
				select {
				case <-time.After(answers):
				case <-ctx.Done():
					got = ctx.Err()
				}
				return got
			})
			time.Sleep(firstPush)
			synctest.Wait()
			start := time.Now()
			stop()
			if took := time.Since(start); took != want || (got == nil) != (answers == want) {
				t.Errorf("an answer after %v: ended after %v with %v, want %v", answers, took, got, want)
			}
		})
	}
}
