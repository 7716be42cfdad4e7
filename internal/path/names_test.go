//go:build unix

package path_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/peer"
	"github.com/pingtel/pingtel/internal/path"
)

// twoHops is a Pinger to a target behind one router: each echo is answered after 5 ms.
type twoHops struct{}

var (
	firstHop = netip.MustParseAddr("198.18.200.1")
	target4  = netip.MustParseAddr("198.18.1.1")
)

func (twoHops) Resolve(_ context.Context, host string, _ icmpcore.Family) (icmpcore.Target, error) {
	return icmpcore.Target{Host: host, Addr: target4}, nil
}

func (twoHops) Go(_ icmpcore.Target, o icmpcore.Options, done func(icmpcore.PingResult)) (icmpcore.Run, error) {
	go func() { // ends at once, in virtual time
		time.Sleep(5 * time.Millisecond)
		r := icmpcore.PingResult{Sent: o.Count, Duration: 5 * time.Millisecond}
		e := icmpcore.Echo{Outcome: icmpcore.OutcomeReply, From: target4, RTT: 5 * time.Millisecond}
		if o.TTL == 1 {
			e.Outcome, e.Err = icmpcore.OutcomeError, &icmpcore.EchoError{Kind: icmpcore.TimeExceeded, From: firstHop}
		} else {
			r.Received, r.Hops = o.Count, 2
		}
		for i := range o.Count {
			if i > 0 {
				time.Sleep(o.Interval)
			}
			o.OnEcho(e)
		}
		done(r)
	}()
	return icmpcore.Run{}, nil
}

// TestNamesAreNotWaitedFor: a resolver that never answers, or late, takes no time of a
// trace.
func TestNamesAreNotWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		name         string
		answersAfter time.Duration // 0: never
		fails        bool
		want         string
		missing      int
	}{
		{"in time", time.Millisecond, false, "router.example", 0},
		{"late", time.Second, false, "", 2},
		{"never", 0, false, "", 2},
		{"has none", time.Millisecond, true, "", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			names := path.NewNames(ctx, func(ctx context.Context, _ string) ([]string, error) {
				var answer <-chan time.Time
				if tt.answersAfter > 0 {
					answer = time.After(tt.answersAfter)
				}
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-answer:
				}
				if tt.fails {
					return nil, errors.New("no such host")
				}
				return []string{"router.example."}, nil
			})
			each := func(yield func([]byte) error) error { return yield([]byte("h")) }
			trace := func(names *path.Names) (took time.Duration) {
				start := time.Now()
				err := path.Run(t.Context(), twoHops{}, each, path.Options{}, names, nil, func(tr *path.Trace) {
					took = time.Since(start)
					if !tr.Reached || len(tr.Hops) != 2 {
						t.Errorf("%s: %+v", tt.name, tr)
					}
					if got := names.Of(firstHop); names != nil && got != tt.want {
						t.Errorf("%s: the name %q, want %q", tt.name, got, tt.want)
					}
					if got := names.Missing(tr); names != nil && got != tt.missing {
						t.Errorf("%s: %d names are missing, want %d", tt.name, got, tt.missing)
					}
				})
				if err != nil {
					t.Error(err)
				}
				return took
			}
			if with, without := trace(names), trace(nil); with != without {
				t.Errorf("%s: a trace takes %v with names, %v without", tt.name, with, without)
			}
			stop()
			synctest.Wait()
		})
	}
}

// TestNamesInJSON: whatever a resolver returns, JSON stays valid, with a name or null for
// each address.
func TestNamesInJSON(t *testing.T) {
	for text, want := range map[string]string{
		"a.example.": "a.example", "\x1b[2J\"\n|\u202e": "\x1b[2J\"\n|\u202e", "\xff\xfe": "\ufffd\ufffd",
	} {
		names := path.NewNames(t.Context(), func(context.Context, string) ([]string, error) { return []string{text}, nil })
		names.Want(firstHop)
		tr := &path.Trace{Host: "h", Addr: target4, Sent: 6, Hops: []path.Hop{
			{TTL: 1, DSCP: -1, From: []path.Address{{Addr: firstHop}, {Addr: target4}}}, {TTL: 2, DSCP: -1},
		}}
		peer.Await(t, "the name", func() bool { return names.Missing(tr) == 1 })
		b := path.AppendJSON(nil, tr, path.Verdict{}, names)
		var doc struct {
			Hops []struct{ Names []*string }
		}
		if err := json.Unmarshal(b, &doc); err != nil || !utf8.Valid(b) {
			t.Fatalf("%q: %v", b, err)
		}
		if diff := cmp.Diff([]*string{&want, nil}, doc.Hops[0].Names); diff != "" || len(doc.Hops[1].Names) > 0 {
			t.Errorf("%s: (-want +got)\n%s", b, diff)
		}
		if b := path.AppendJSON(nil, tr, path.Verdict{}, nil); json.Unmarshal(b, &doc) != nil || jsonHas(b, "names") {
			t.Errorf("without names: %s", b)
		}
	}
}

// jsonHas reports whether the first hop has a key.
func jsonHas(b []byte, key string) bool {
	var doc struct{ Hops []map[string]any }
	return json.Unmarshal(b, &doc) == nil && doc.Hops[0][key] != nil
}
