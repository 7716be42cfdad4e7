package history

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func changeAt(at time.Time, n int) PathChange {
	return PathChange{
		At: at.Unix(), Since: at.Add(-time.Hour).Unix(), Before: fmt.Sprintf("198.18.200.1 * 198.18.200.%d", n), After: fmt.Sprintf("198.18.200.1 198.18.201.%d", n),
		Text: "the path has changed, " + strings.Repeat("\x00<", n),
	}
}

// Path changes are there at once, after an end in order, and a minute later also after a
// kill. Each is that of its target and its time.
func TestPathChanges(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		h, _ := open(t, dir, begin)
		a, b := h.Series(id("a.example")), h.Series(id("b.example"))
		var want []PathChange
		for i, after := range []time.Duration{time.Minute, 2 * time.Hour, 5 * time.Hour} { // of two days
			c := changeAt(begin.Add(after), i)
			want = append(want, c)
			a.RecordPathChange(c)
		}
		b.RecordPathChange(changeAt(begin.Add(3*time.Hour), 9))
		check := func(when string) {
			t.Helper()
			for _, tt := range []struct {
				from, to time.Duration
				want     []PathChange
			}{{0, 6 * time.Hour, want}, {0, time.Minute, nil}, {time.Minute, time.Minute + time.Second, want[:1]}, {time.Hour, 5 * time.Hour, want[1:2]}, {2 * time.Hour, 6 * time.Hour, want[1:]}} {
				got, err := h.PathChanges(a.Key(), begin.Add(tt.from).Unix(), begin.Add(tt.to).Unix())
				if err != nil || !reflect.DeepEqual(got, tt.want) && len(got)+len(tt.want) > 0 {
					t.Errorf("%s, %v to %v: %v, %v; want %v", when, tt.from, tt.to, got, err, tt.want)
				}
			}
		}
		check("at once")
		h.Sweep(begin.Add(5 * time.Hour))
		if len(h.changes) != 0 {
			t.Errorf("%d changes still wait", len(h.changes))
		}
		check("written")
		if dir == "" {
			h.Sweep(begin.Add(40 * 24 * time.Hour))
			if n := len(h.store.(*memory).noted); n != 0 {
				t.Errorf("%d changes in memory when all are too old", n)
			}
			continue
		}
		kill(h)
		h, _ = open(t, dir, begin.Add(6*time.Hour))
		check("after a kill")
		if known, ok := h.Lookup(b.Key()); !ok || known.Host != "b.example" {
			t.Errorf("the target of a change is %v, %v", known, ok)
		}
		last := changeAt(begin.Add(5*time.Hour+time.Minute), 3)
		want = append(want, last)
		h.Series(id("a.example")).RecordPathChange(last)
		if err := h.Close(context.Background(), begin.Add(7*time.Hour)); err != nil {
			t.Fatal(err)
		}
		h, _ = open(t, dir, begin.Add(7*time.Hour))
		check("after an end in order")
		kill(h)
	}
}

// Path changes that a disk does not take are bounded and counted.
func TestPathChangesDropped(t *testing.T) {
	h, err := Open(Options{Dir: t.TempDir(), Keep: time.Hour, Log: slog.New(slog.DiscardHandler), Now: begin})
	if err != nil {
		t.Fatal(err)
	}
	h.store.(*disk).full = true
	s := h.Series(id("a.example"))
	for i := range maxChanges + 7 {
		s.RecordPathChange(changeAt(begin.Add(time.Duration(i)*time.Second), 1))
	}
	h.Sweep(begin.Add(2 * time.Hour))
	if list, err := h.PathChanges(s.Key(), 0, begin.Add(9*time.Hour).Unix()); err != nil || len(list) != maxChanges || h.PathChangesDropped() != 7 {
		t.Errorf("%d changes, %d dropped, %v", len(list), h.PathChangesDropped(), err)
	}
	h.store.(*disk).full = true // not by its files
	if err := h.Close(context.Background(), begin.Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "4096 changes of paths are lost") {
		t.Errorf("the end: %v", err)
	}
}

// A change that makes no sense is the damage of its file.
func TestDamagedChange(t *testing.T) {
	dir := t.TempDir()
	h, log := open(t, dir, begin)
	s := h.Series(id("a.example"))
	s.RecordPathChange(changeAt(begin, 1))
	h.Sweep(begin.Add(time.Minute))
	d := h.store.(*disk)
	if err := d.with(dayOf(begin.Unix()), false, func(db *bolt.DB) error {
		return db.Update(func(tx *bolt.Tx) error {
			k, v := tx.Bucket(changesBucket).Cursor().First()
			return tx.Bucket(changesBucket).Put(k, v[:len(v)-1])
		})
	}); err != nil {
		t.Fatal(err)
	}
	list, err := h.PathChanges(s.Key(), 0, begin.Add(time.Hour).Unix())
	if err != nil || len(list) != 0 || !strings.Contains(log.String(), "was set aside") {
		t.Errorf("%v, %v: %s", list, err, log)
	}
}

func FuzzPathChange(f *testing.F) {
	c := changeAt(begin, 3)
	f.Add(c.encode())
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := decodeChange(p)
		if err != nil {
			if c != (PathChange{}) {
				t.Errorf("%+v with %v", c, err)
			}
			return
		}
		if again, err := decodeChange(c.encode()); err != nil || again != c {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
	})
}
