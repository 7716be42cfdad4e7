package history

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// fill records rounds of a series from one time to another, and sweeps now and then.
func fill(h *History, s *Series, from, to time.Time) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for at := from; at.Before(to); at = at.Add(10 * time.Second) {
		s.Record(result(at, 5, noisy(rnd, 5)...))
		if at.Second() == 0 {
			h.Sweep(at)
		}
	}
}

// kill frees what the end of a process frees.
func kill(h *History) {
	d := h.store.(*disk)
	for day, f := range d.open {
		f.db.Close()
		delete(d.open, day)
	}
}

// A process that is killed loses an hour at most, and nothing older.
func TestKilled(t *testing.T) {
	for _, host := range []string{"a.example", "b.example", "c.example"} {
		dir := t.TempDir()
		h, _ := open(t, dir, begin)
		s := h.Series(id(host))
		end := begin.Add(9 * time.Hour)
		rnd := rand.New(rand.NewPCG(1, 2))
		for at := begin; at.Before(end); at = at.Add(10 * time.Second) {
			s.Record(result(at, 5, noisy(rnd, 5)...))
			h.Sweep(at)
		}
		kill(h)
		h, log := open(t, dir, end)
		all := total(t, h, s.Key(), begin, end)
		if missing := 9*360 - int(all.Rounds); missing > 360 || missing < 0 {
			t.Errorf("%s: %d rounds are missing", host, missing)
		}
		if old := total(t, h, s.Key(), begin, end.Add(-time.Hour)); old.Rounds != 8*360 {
			t.Errorf("%s: %d rounds before the last hour", host, old.Rounds)
		}
		if log.String() != "" {
			t.Error(log.String())
		}
		h.Sweep(end)
		if st := h.Series(id(host)); st.usual == 0 {
			h.Sweep(end)
			if st.usual == 0 {
				t.Error("the usual round-trip time is not known after a restart")
			}
		}
	}
}

// An end in order loses nothing.
func TestClosed(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir, begin)
	s := h.Series(id("a.example"))
	end := begin.Add(100 * time.Minute)
	fill(h, s, begin, end)
	if err := h.Close(context.Background(), end); err != nil {
		t.Fatal(err)
	}
	h, _ = open(t, dir, end)
	if n := total(t, h, s.Key(), begin, end).Rounds; n != 600 {
		t.Errorf("%d rounds", n)
	}
	if running, err := h.Running(begin.Unix(), end.Unix()); err != nil || len(running) != 1 {
		t.Errorf("running %v, %v", running, err)
	}
}

// A torn or foreign file is named and set aside, and the rest is there.
func TestDamagedFiles(t *testing.T) {
	foreign := func(path string) error {
		db, err := bolt.Open(path, 0o600, nil)
		if err != nil {
			return err
		}
		defer db.Close()
		return db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("somebody")); return err })
	}
	edit := func(f func([]byte) []byte) func(string) error {
		return func(path string) error {
			p, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, f(p), 0o600)
		}
	}
	cases := map[string]func(path string) error{
		"empty":     edit(func([]byte) []byte { return []byte{0} }),
		"text":      edit(func([]byte) []byte { return []byte(strings.Repeat("no history\n", 2000)) }),
		"cut":       edit(func(p []byte) []byte { return p[:len(p)/3] }),
		"first two": edit(func(p []byte) []byte { return p[:2*os.Getpagesize()] }),
		"zeros":     edit(func(p []byte) []byte { clear(p[2*os.Getpagesize():]); return p }),
		"noise": edit(func(p []byte) []byte {
			rnd := rand.New(rand.NewPCG(3, 4))
			for i := 2 * os.Getpagesize(); i < len(p); i++ {
				p[i] = byte(rnd.Uint32())
			}
			return p
		}),
		"a bit of each block": edit(func(p []byte) []byte {
			for i := 4 * os.Getpagesize(); i < len(p); i += 64 {
				p[i] ^= 4
			}
			return p
		}),
		"foreign": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return foreign(path)
		},
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h, _ := open(t, dir, begin)
			s := h.Series(id("a.example"))
			end := begin.Add(30 * time.Hour)
			fill(h, s, begin, end)
			if err := h.Close(context.Background(), end); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "2026-11-28.db")
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			h, log := open(t, dir, end)
			midnight := begin.Add(4 * time.Hour)
			rest := total(t, h, s.Key(), begin, midnight.Add(-time.Hour)).Rounds + total(t, h, s.Key(), midnight.Add(25*time.Hour), end).Rounds
			if rest != 4*360 {
				t.Errorf("%d rounds of the other days", rest)
			}
			if n := total(t, h, s.Key(), midnight.Add(time.Hour), midnight.Add(23*time.Hour)).Rounds; n > 22*360 {
				t.Errorf("%d rounds of the damaged day", n)
			}
			if aside, _ := filepath.Glob(path + ".broken-*"); len(aside) != 1 || !strings.Contains(log.String(), aside[0]) {
				t.Errorf("set aside: %v; log: %s", aside, log)
			}
			s = h.Series(id("a.example"))
			s.Record(result(midnight.Add(5*time.Hour), 5, 1e6))
			h.Sweep(end.Add(2 * time.Hour))
			if n := total(t, h, s.Key(), midnight.Add(5*time.Hour), midnight.Add(6*time.Hour)).Rounds; n != 1 {
				t.Errorf("%d rounds after one more was written to the day", n)
			}
			if err := h.Close(context.Background(), end); err != nil {
				t.Error(err)
			}
		})
	}
}

// Two processes cannot write to the same files.
func TestOneProcess(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir, begin)
	s := h.Series(id("a.example"))
	s.Record(result(begin, 5, 1e6))
	h.Sweep(begin.Add(2 * time.Hour))
	_, err := Open(h.o)
	if err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("a second process: %v", err)
	}
}

// Files go when they are older than keep, one an hour, and when they are larger
// together than max_size.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir, begin)
	d := h.store.(*disk)
	s := h.Series(id("a.example"))
	now := begin
	for range 5 {
		fill(h, s, now, now.Add(2*time.Hour))
		now = now.Add(24 * time.Hour)
	}
	h.Sweep(now)
	days := func() []string {
		list, err := d.days()
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if n := len(days()); n < 5 || n > 6 {
		t.Fatal(days())
	}
	d.keep = 50 * time.Hour
	before := len(days())
	h.Sweep(now.Add(2 * time.Minute))
	h.Sweep(now.Add(4 * time.Minute))
	if n := len(days()); n != before-1 {
		t.Errorf("%d files were removed within the hour, want one", before-n)
	}
	for i := range 10 {
		h.Sweep(now.Add(time.Duration(i+1) * 61 * time.Minute))
	}
	if got := days(); got[0] != "2026-12-01" { // 50 hours before 3 December, 06:10
		t.Errorf("after keep: %v", got)
	}
	d.most = 8000
	for _, day := range days()[len(days())-2:] {
		info, err := os.Stat(d.path(day))
		if err != nil {
			t.Fatal(err)
		}
		d.most += info.Size()
	}
	h.Sweep(now.Add(12 * time.Hour))
	if n := len(days()); n != 2 {
		t.Errorf("after max_size: %v", days())
	}
	d.most = 1000 // less than a file
	s.Record(result(now.Add(12*time.Hour), 5, 1e6))
	h.Sweep(now.Add(12*time.Hour + 2*time.Minute))
	h.Sweep(now.Add(14 * time.Hour))
	if len(days()) != 1 || h.failing == nil {
		t.Errorf("a day that is too large alone: %v, %v", days(), h.failing)
	}
}

// All that a file has comes back the same.
func TestPacked(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := block{start: begin.Unix(), last: begin.Unix(), usual: 700}
	for i := range 300 {
		r := result(begin.Add(time.Duration(i*10)*time.Second), 5, noisy(rnd, i%6)...)
		s, _ := shapeOf(r)
		b.add(r.Start.Unix(), s, r, nil)
	}
	packed := b.pack()
	got, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if got.start != b.start || got.last != b.last || got.usual != b.usual || !bytes.Equal(got.head, b.head) || !bytes.Equal(got.body, b.body) {
		t.Error("the block is another")
	}
	for i := range packed {
		p := slices.Clone(packed)
		p[i] ^= 0x20
		if _, err := unpack(p); err == nil {
			t.Fatalf("byte %d may be wrong", i)
		}
	}
}
