// Package hosts reads hosts as people write them: names, addresses, prefixes and
// ranges of addresses. Arguments, hosts files and the configuration all have the
// same syntax, limit and errors.
package hosts

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"
)

// MaxExpanded is the most hosts in all prefixes and ranges of one list, unless
// the configuration sets another limit.
const MaxExpanded = 65536

// ErrTooMany is the fault of a prefix or range that has too many hosts.
var ErrTooMany = errors.New("the prefixes and ranges of one list have more hosts than the limit")

// Entry is one entry of a list: a single host, or a run of addresses.
type Entry struct {
	host  string // of a single host: as written, without brackets
	first netip.Addr
	count int
}

// Parse reads one text. Its errors say what is wrong and what to write instead.
// They do not contain the text itself.
func Parse(text string) (Entry, error) {
	if _, err := netip.ParseAddr(text); err == nil { // first, since a zone may hold any character
		return Entry{host: text, count: 1}, nil
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); ok && err == nil && a.Is6() {
			return Entry{host: inner, count: 1}, nil
		}
	}
	if from, to, ok := strings.Cut(text, "-"); ok {
		if a, err := netip.ParseAddr(from); err == nil {
			return parseRange(a, to)
		}
	}
	if addr, bits, ok := strings.Cut(text, "/"); ok && isNumber(bits) {
		if _, err := netip.ParseAddr(addr); err == nil || isNumber(strings.ReplaceAll(addr, ".", "")) {
			return parsePrefix(text)
		}
	}
	if err := CheckName(text); err != nil {
		return Entry{}, err
	}
	return Entry{host: text, count: 1}, nil
}

// Single reports whether e is one host that was not written as a prefix or a
// range.
func (e Entry) Single() bool { return e.host != "" }

// Len returns the number of hosts in e.
func (e Entry) Len() int { return e.count }

// First returns the first address of a prefix or range. For a single host it
// returns its address, or the zero Addr if the host is a name.
func (e Entry) First() netip.Addr {
	if e.Single() {
		a, _ := netip.ParseAddr(e.host) // the zero value for a name
		return a
	}
	return e.first
}

// All returns the hosts one by one. The slice is good only until the next one.
func (e Entry) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if e.Single() {
			yield([]byte(e.host))
			return
		}
		var buf [64]byte
		a := e.first
		for range e.count {
			if !yield(a.AppendTo(buf[:0])) {
				return
			}
			a = a.Next()
		}
	}
}

// parsePrefix reads a prefix. The entry has all its addresses, except for an IPv4
// prefix of 30 bits or fewer not the network and broadcast addresses.
func parsePrefix(text string) (Entry, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return Entry{}, errors.New("is not a prefix: want one such as 198.18.0.0/24 or 2001:db8::/120")
	}
	if p != p.Masked() {
		return Entry{}, fmt.Errorf("has bits set after its prefix length: want %s, or only the address", p.Masked())
	}
	bits := p.Addr().BitLen() - p.Bits()
	if bits > 30 {
		return Entry{}, ErrTooMany
	}
	e := Entry{first: p.Addr(), count: 1 << bits}
	if p.Addr().Is4() && bits >= 2 {
		e.first, e.count = e.first.Next(), e.count-2
	}
	return e, nil
}

// parseRange reads a range. first is its first address, and to is the text after
// the hyphen: the last address, or the last number of an IPv4 address.
func parseRange(first netip.Addr, to string) (Entry, error) {
	last, err := netip.ParseAddr(to)
	if n, nerr := strconv.ParseUint(to, 10, 8); nerr == nil && first.Is4() {
		b := first.As4()
		b[3] = byte(n)
		last, err = netip.AddrFrom4(b), nil
	}
	switch {
	case err != nil || last.Is4() != first.Is4() || first.Zone() != "" || last.Zone() != "":
		return Entry{}, errors.New("is not a range: want one such as 198.18.1.1-9 or 198.18.1.1-198.18.2.9")
	case last.Less(first):
		return Entry{}, errors.New("is a range that ends before it begins: swap its ends")
	}
	count, ok := distance(first, last)
	if !ok {
		return Entry{}, ErrTooMany
	}
	return Entry{first: first, count: count + 1}, nil
}

// distance returns b minus a, and false if that is too large for any list.
func distance(a, b netip.Addr) (int, bool) {
	x, y := a.As16(), b.As16()
	var d uint64
	for i := range x {
		if d >= 1<<40 {
			return 0, false
		}
		d = d<<8 + uint64(y[i]) - uint64(x[i]) // the next bytes make up for a borrow
	}
	return int(d), d < 1<<30
}

// isNumber reports whether s has only digits.
func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// List limits the number of hosts in all prefixes and ranges of one list. Single
// hosts do not count, and neither do prefixes and ranges of one address. The zero value is a new list.
type List struct {
	Max int // the limit; zero means MaxExpanded

	expanded int // hosts in the prefixes and ranges so far
}

// Parse is [Parse] for the next text of the list. If the list then has too many
// hosts, the error wraps ErrTooMany and names the limit.
func (l *List) Parse(text string) (Entry, error) {
	most := l.Max
	if most == 0 {
		most = MaxExpanded
	}
	e, err := Parse(text)
	switch {
	case errors.Is(err, ErrTooMany), err == nil && e.Len() > max(1, most-l.expanded):
		return Entry{}, fmt.Errorf("%w, %d", ErrTooMany, most)
	case err == nil && e.Len() > 1:
		l.expanded += e.Len()
	}
	return e, err
}

// Each calls yield for each host of text, and returns its error. If Parse refuses
// the text, Each passes it on unchanged: the result of that host says why. The
// error wraps ErrTooMany if the list has too many hosts. The slice is valid until
// yield returns; Each keeps no host of a prefix.
func (l *List) Each(text []byte, yield func([]byte) error) error {
	if isPlain(text) {
		return yield(text)
	}
	e, err := l.Parse(string(text))
	switch {
	case errors.Is(err, ErrTooMany):
		return fmt.Errorf("%s: %w", text, err)
	case err != nil:
		return yield(text)
	}
	for host := range e.All() {
		if err := yield(host); err != nil {
			return err
		}
	}
	return nil
}

// isPlain reports whether text has only the characters of addresses without a
// zone. Such a text is neither a prefix nor a range. Most texts of a long list are
// plain.
func isPlain(text []byte) bool {
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}
