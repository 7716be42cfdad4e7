package history

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/internal/config"
)

// ID is what a target is known by: its host and its tags, and what tells apart
// targets that may have the same of both. Its address, the number of its echoes and
// their size may change, and its history goes on.
type ID struct {
	Host   string
	Family icmpcore.Family // auto, or the one that the file names
	DSCP   int
	Tags   []config.Tag // sorted by key
}

// Key is the short form of an ID.
type Key [12]byte

func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey is the inverse of String.
func ParseKey(s string) (k Key, err error) {
	if len(s) != 2*len(k) {
		return k, errors.New("not the key of a target")
	}
	_, err = hex.Decode(k[:], []byte(s))
	return k, err
}

// encode returns the bytes of an ID, which differ for any two that are not equal.
func (id *ID) encode() []byte {
	text := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b := text(nil, id.Host)
	b = append(b, byte(id.Family), byte(id.DSCP))
	for _, t := range id.Tags {
		b = text(text(b, t.Key), t.Value)
	}
	return b
}

func (id *ID) key() (k Key) {
	sum := sha256.Sum256(id.encode())
	copy(k[:], sum[:])
	return k
}

// decodeID is the inverse of encode.
func decodeID(p []byte) (id ID, ok bool) {
	d := decoder{p: p}
	id.Host = d.text()
	if len(d.p) < 2 {
		return id, false
	}
	id.Family, id.DSCP = icmpcore.Family(d.p[0]), int(d.p[1])
	d.p = d.p[2:]
	for len(d.p) > 0 {
		id.Tags = append(id.Tags, config.Tag{Key: d.text(), Value: d.text()})
	}
	return id, !d.bad
}

// phase returns a number of seconds below blockTime: when in each blockTime the
// blocks of the target end. It grows with the key, so blocks end in the order of keys.
func (k Key) phase() int64 {
	return int64(uint64(binary.BigEndian.Uint32(k[:])) * blockSeconds >> 32)
}

// slot returns the number of the blockTime that a block which begins at a time
// belongs to.
func (k Key) slot(at int64) uint32 { return uint32((at-k.phase())/blockSeconds + 1) }
