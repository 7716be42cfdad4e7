package hosts

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// CheckName reports what is wrong with a text that is not an address and can be
// no name either: the resolver would say of it only that there is no such host.
func CheckName(text string) error {
	if err := lookalike(text); err != nil {
		return err
	}
	name := text
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(text)
		if err != nil || !utf8.ValidString(text) {
			return errors.New("is no valid international name: want letters, digits and hyphens between dots")
		}
		name = ascii
	}
	name = strings.TrimSuffix(name, ".")
	if strings.Trim(name, "0123456789.") == "" {
		return errors.New("want an IPv4 address, four numbers up to 255")
	}
	if len(name) > 253 {
		return fmt.Errorf("is %d characters long as a name: want 253 at most", len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

// checkLabel looks at one part of a name: letters, digits, hyphens inside, and
// underscores.
func checkLabel(label string) error {
	odd := strings.IndexFunc(label, func(c rune) bool {
		const known = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
		return !strings.ContainsRune(known, c)
	})
	switch {
	case odd >= 0:
		c, _ := utf8.DecodeRuneInString(label[odd:])
		return fmt.Errorf("can be no name for its %q: want a name, an address, a prefix or a range", c)
	case label == "":
		return errors.New("has a dot too many: want a name, an address, a prefix or a range")
	case len(label) > 63:
		return fmt.Errorf("has a part of %d characters between dots: want 63 at most", len(label))
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a hyphen at the end of a part: want letters, digits, and hyphens inside")
	}
	return nil
}

// lookalike knows what people paste in place of a host, and says which part of
// it is one.
func lookalike(text string) error {
	switch {
	case text == "":
		return errors.New("want a name or an address")
	case strings.ContainsFunc(text, unicode.IsSpace):
		return errors.New("has a space in it: want one host")
	case strings.Contains(text, "://"):
		if u, err := url.Parse(text); err == nil && u.Hostname() != "" {
			return fmt.Errorf("looks like a URL: want its host alone, %s", u.Hostname())
		}
		return errors.New("looks like a URL: want its host alone")
	case strings.Contains(text, "@"):
		return fmt.Errorf("looks like user@host: want %s", text[strings.LastIndex(text, "@")+1:])
	}
	if host, port, ok := cutPort(text); ok {
		return fmt.Errorf("looks like host:port, and ICMP has no ports (%s): want %s", port, host)
	}
	if strings.ContainsAny(text, "[]") {
		return errors.New("has brackets around what is no IPv6 address")
	}
	if host, _, ok := strings.Cut(text, "/"); ok {
		if CheckName(host) == nil {
			return fmt.Errorf("looks like a part of a URL: want its host alone, %s", host)
		}
		return errors.New("is no prefix: want one as 198.18.0.0/24 or 2001:db8::/120")
	}
	return nil
}

// cutPort takes a port off a host.
func cutPort(text string) (host, port string, ok bool) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || !isNumber(text[i+1:]) {
		return "", "", false
	}
	host, port = text[:i], text[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		_, err := netip.ParseAddr(host)
		return host, port, ok && err == nil
	}
	return host, port, !strings.Contains(host, ":")
}
