package icmpcore

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// cookieSize is the size of the cookie, and so of the smallest payload.
const cookieSize = 8

// echoID says which echo a packet belongs to. Encrypted, it is the cookie.
type echoID struct {
	slot uint32 // index of the series' slot
	gen  uint16 // how often the slot has been taken
	seq  uint16 // the echo's ICMP sequence number
}

// cookieCipher turns an echoID into a cookie and back. It is the block cipher
// Speck64/128 (Beaulieu et al., 2013), a keyed permutation of 64 bits: all
// eight bytes both say which echo it is and prove that we made the cookie. A
// plain number with a tag would leave only four bytes for the proof.
type cookieCipher struct {
	round [27]uint32
}

// newCookieCipher returns a cipher with a random key.
func newCookieCipher() *cookieCipher {
	var key [16]byte
	rand.Read(key[:]) // never fails: it ends the program if there is no randomness
	return keyedCipher(key)
}

// keyedCipher expands a key whose words are in ascending order of significance.
func keyedCipher(key [16]byte) *cookieCipher {
	c := new(cookieCipher)
	k := binary.LittleEndian.Uint32(key[:])
	var l [3]uint32
	for i := range l {
		l[i] = binary.LittleEndian.Uint32(key[4+4*i:])
	}
	for i := range c.round {
		c.round[i] = k
		next := (bits.RotateLeft32(l[i%3], -8) + k) ^ uint32(i)
		k = bits.RotateLeft32(k, 3) ^ next
		l[i%3] = next
	}
	return c
}

// encipher returns the cookie of id.
func (c *cookieCipher) encipher(id echoID) uint64 {
	x, y := id.slot, uint32(id.gen)<<16|uint32(id.seq)
	for _, k := range &c.round {
		x = (bits.RotateLeft32(x, -8) + y) ^ k
		y = bits.RotateLeft32(y, 3) ^ x
	}
	return uint64(x)<<32 | uint64(y)
}

// decipher returns the ID in a cookie. Every cookie has one; the proof is that
// it is the ID of an echo in flight.
func (c *cookieCipher) decipher(cookie uint64) echoID {
	x, y := uint32(cookie>>32), uint32(cookie)
	for i := len(c.round) - 1; i >= 0; i-- {
		y = bits.RotateLeft32(y^x, -3)
		x = bits.RotateLeft32((x^c.round[i])-y, 8)
	}
	return echoID{slot: x, gen: uint16(y >> 16), seq: uint16(y)}
}
