package history

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// block holds consecutive rounds of one target, an hour's at most.
//
// head describes runs of rounds with the same shape: how many, the seconds since the
// round before, a mask of the counts that are not zero, and these. body has the
// round-trip times of each round in ascending order: the first bucket relative to
// base, then the distance of each from the one before; and the jitter relative to
// the first one, if there are two. Numbers are varints.
type block struct {
	start, last int64  // Unix seconds of the first and the last round
	usual       uint16 // the bucket of the usual round-trip time when it began, for a restart

	rounds     int
	head, body []byte
	run        shape // of the run at the end, which head does not have yet
	runs       uint32
	base       int // bucket of the first round-trip time
	based      bool
	jitter     int // the first: 0, or 1 and the number of a pair of buckets
	jittered   bool
}

// manyReplies is from how many replies on a round has pairs of bucket and count.
const manyReplies = 17

// maxBlock bounds a block's body. A target with very many echoes has more blocks.
const maxBlock = 48 << 10

// add appends a round. Its time must not be before b.last. buckets is scratch.
func (b *block) add(at int64, s shape, r *icmpcore.PingResult, buckets []int) []int {
	s.after = uint32(at - b.last)
	b.last = at
	b.rounds++
	if b.runs > 0 && s == b.run {
		b.runs++
	} else {
		b.endRun()
		b.run, b.runs = s, 1
	}
	buckets = buckets[:0]
	for _, d := range r.RTTs {
		buckets = append(buckets, bucketOf(d))
	}
	if len(buckets) == 0 {
		return buckets
	}
	slices.Sort(buckets)
	if !b.based {
		b.base, b.based = buckets[0], true
	}
	b.body = binary.AppendVarint(b.body, int64(buckets[0]-b.base))
	for i := 0; i < len(buckets); {
		if i > 0 {
			b.body = binary.AppendUvarint(b.body, uint64(buckets[i]-buckets[i-1]))
		}
		next := i + 1
		if len(buckets) >= manyReplies {
			for next < len(buckets) && buckets[next] == buckets[i] {
				next++
			}
			b.body = binary.AppendUvarint(b.body, uint64(next-i-1))
		}
		i = next
	}
	if len(buckets) > 1 {
		jitter := 0
		if r.Jitter > 0 {
			jitter = bucketOf(r.Jitter)/2 + 1
		}
		if !b.jittered {
			b.jitter, b.jittered = jitter, true
		}
		b.body = binary.AppendVarint(b.body, int64(jitter-b.jitter))
	}
	return buckets
}

// jitterOf returns the middle, in seconds, of a pair of buckets as add numbers them.
func jitterOf(n int) float64 {
	if n == 0 {
		return 0
	}
	return math.Exp(float64(2*n-1)*logGrowth) / 1e9
}

// endRun moves the last run into head.
func (b *block) endRun() {
	if b.runs == 0 {
		return
	}
	b.head = binary.AppendUvarint(b.head, uint64(b.runs))
	b.head = binary.AppendUvarint(b.head, uint64(b.run.after))
	mask := uint64(0)
	for i, n := range b.run.n {
		if n > 0 {
			mask |= 1 << i
		}
	}
	b.head = binary.AppendUvarint(b.head, mask)
	for _, n := range b.run.n {
		if n > 0 {
			b.head = binary.AppendUvarint(b.head, uint64(n))
		}
	}
	b.runs = 0
}

func (b *block) empty() bool { return b.runs == 0 && len(b.head) == 0 }

// copied returns a copy that can be read while b grows.
func (b *block) copied() *block {
	c := *b
	c.head, c.body = slices.Clone(b.head), slices.Clone(b.body)
	c.endRun()
	return &c
}

const blockVersion = 1

// maxRounds bounds the rounds of a block. At the shortest interval it has 35,400.
const maxRounds = 1 << 18

var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.HuffmanOnly) // noise does not repeat: the others are slower and give more bytes
	if err != nil {                                          // the level is a constant
		panic(err)
	}
	return w
}}

// pack returns the bytes of a block for a file: a version, a checksum, what is
// fixed, and head and body compressed.
func (b *block) pack() []byte {
	b.endRun()
	out := []byte{blockVersion, 0, 0, 0, 0}
	out = binary.AppendVarint(out, b.start)
	out = binary.AppendUvarint(out, uint64(b.last-b.start))
	out = binary.AppendUvarint(out, uint64(b.usual))
	out = binary.AppendUvarint(out, uint64(b.base))
	out = binary.AppendUvarint(out, uint64(b.jitter))
	out = binary.AppendUvarint(out, uint64(len(b.head)))
	out = binary.AppendUvarint(out, uint64(len(b.body)))
	to := bytes.NewBuffer(out)
	w := packers.Get().(*flate.Writer)
	w.Reset(to)
	for _, part := range [][]byte{b.head, b.body} {
		w.Write(part) //nolint:errcheck // a bytes.Buffer takes everything
	}
	w.Close()
	packers.Put(w)
	out = to.Bytes()
	binary.LittleEndian.PutUint32(out[1:], crc32.ChecksumIEEE(out[5:]))
	return out
}

var errBlock = errors.New("damaged")

// unpackHead reads what is not compressed of a packed block, and returns the rest.
func unpackHead(p []byte) (b *block, head, body int, rest []byte, err error) {
	if len(p) < 5 || p[0] != blockVersion {
		return nil, 0, 0, nil, fmt.Errorf("block of another version: %w", errBlock)
	}
	if crc32.ChecksumIEEE(p[5:]) != binary.LittleEndian.Uint32(p[1:]) {
		return nil, 0, 0, nil, fmt.Errorf("block with a wrong checksum: %w", errBlock)
	}
	d := decoder{p: p[5:]}
	b = &block{start: d.signed()}
	b.last = b.start + int64(d.number())
	b.usual, b.base, b.jitter, b.based = uint16(d.number()), int(d.number()), int(d.number()), true
	head, body = int(d.number()), int(d.number())
	if d.bad || b.base > maxBucket || b.jitter > maxBucket || head < 0 || body < 0 || head+body > 1<<24 {
		return nil, 0, 0, nil, fmt.Errorf("block with a wrong head: %w", errBlock)
	}
	return b, head, body, d.p, nil
}

// unpack is the inverse of pack.
func unpack(p []byte) (*block, error) {
	b, head, body, rest, err := unpackHead(p)
	if err != nil {
		return nil, err
	}
	all := make([]byte, head+body)
	r := flate.NewReader(bytes.NewReader(rest))
	if _, err := io.ReadFull(r, all); err != nil {
		return nil, fmt.Errorf("block that does not unpack (%w): %w", err, errBlock)
	}
	b.head, b.body = all[:head], all[head:]
	return b, nil
}

// decoder reads varints. bad is set at the first that is not there.
type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	if len(d.p) > 0 && d.p[0] < 0x80 {
		v := d.p[0]
		d.p = d.p[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(d.p)
	if n <= 0 {
		d.bad, d.p = true, nil
		return 0
	}
	d.p = d.p[n:]
	return v
}

func (d *decoder) signed() int64 {
	v, n := binary.Varint(d.p)
	if n <= 0 {
		d.bad, d.p = true, nil
		return 0
	}
	d.p = d.p[n:]
	return v
}

// text reads a length and so many bytes.
func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.p)) {
		d.bad, d.p = true, nil
		return ""
	}
	s := string(d.p[:n])
	d.p = d.p[n:]
	return s
}

// each adds every round of the block to the sum that to returns for its time; nil
// leaves it out. The block must be a copy, or packed and unpacked.
func (b *block) each(to func(at int64) *Sum) error {
	head, body := decoder{p: b.head}, decoder{p: b.body}
	at, left := b.start, uint64(maxRounds)
	var nowhere Sum
	for len(head.p) > 0 {
		n, after := head.number(), int64(head.number())
		head.bad = head.bad || n > left
		left -= n
		mask := head.number()
		var c [counts]uint64
		for i := range c {
			if mask&(1<<i) != 0 {
				c[i] = head.number()
			}
		}
		for ; n > 0 && !head.bad && !body.bad; n-- {
			at += after
			sum := to(at)
			if sum == nil {
				nowhere = Sum{}
				sum = &nowhere
			}
			sum.Rounds++
			for i, v := range c {
				sum.Counts[i] += v
			}
			b.round(&body, c[Received], sum)
		}
		if head.bad || body.bad {
			return fmt.Errorf("block of %s that ends too soon: %w", time.Unix(b.start, 0).UTC().Format(time.RFC3339), errBlock)
		}
	}
	return nil
}

// round adds the round-trip times of a round.
func (b *block) round(d *decoder, received uint64, sum *Sum) {
	if received == 0 {
		return
	}
	bucket := b.base + int(d.signed())
	for i := uint64(0); i < received && !d.bad; {
		if i > 0 {
			bucket += int(d.number())
		}
		n := uint64(1)
		if received >= manyReplies {
			n += d.number()
		}
		if bucket < 0 || bucket > maxBucket || n > received-i {
			d.bad = true
			return
		}
		sum.RTTs.add(bucket, uint32(n))
		i += n
	}
	if received > 1 {
		n := b.jitter + int(d.signed())
		if n < 0 || n > maxBucket {
			d.bad = true
			return
		}
		jitter := jitterOf(n)
		sum.squares += jitter * jitter * float64(received-1)
		sum.freedom += float64(received - 1)
	}
}
