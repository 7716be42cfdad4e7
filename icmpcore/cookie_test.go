package icmpcore

import (
	"encoding/binary"
	"testing"
)

// TestCookieVector is the test vector of the designers of Speck64/128.
func TestCookieVector(t *testing.T) {
	var key [16]byte
	for i, word := range []uint32{0x03020100, 0x0b0a0908, 0x13121110, 0x1b1a1918} {
		binary.LittleEndian.PutUint32(key[4*i:], word)
	}
	c := keyedCipher(key)
	plain := echoID{slot: 0x3b726574, gen: 0x7475, seq: 0x432d}
	if got, want := c.encipher(plain), uint64(0x8c6fa548454e028b); got != want {
		t.Errorf("encipher = %#x, want %#x", got, want)
	}
	if got := c.decipher(0x8c6fa548454e028b); got != plain {
		t.Errorf("decipher = %+v, want %+v", got, plain)
	}
}

func TestCookieKeysDiffer(t *testing.T) {
	id := echoID{slot: 1, gen: 2, seq: 3}
	a, b := newCookieCipher(), newCookieCipher()
	if a.encipher(id) == b.encipher(id) {
		t.Error("two ciphers make the same cookie")
	}
	if b.decipher(a.encipher(id)) == id {
		t.Error("one cipher's cookie is another's")
	}
}

func FuzzCookie(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint64(0))
	f.Add(make([]byte, 16), ^uint64(0))
	f.Fuzz(func(t *testing.T, key []byte, cookie uint64) {
		if len(key) < 16 {
			return
		}
		c := keyedCipher([16]byte(key))
		if got := c.encipher(c.decipher(cookie)); got != cookie {
			t.Errorf("encipher(decipher(%#x)) = %#x", cookie, got)
		}
	})
}
