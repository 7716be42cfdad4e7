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

// CheckName returns what is wrong with a text that is not an address, if it cannot
// be a name either. A resolver would only say that there is no such host.
func CheckName(text string) error {
	if err := lookalike(text); err != nil {
		return err
	}
	name := text
	if strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		ascii, err := idna.Lookup.ToASCII(text)
		if err != nil || !utf8.ValidString(text) {
			return errors.New("is not a valid international name: want letters, digits and hyphens between dots")
		}
		name = ascii
	}
	name = strings.TrimSuffix(name, ".")
	if strings.Trim(name, "0123456789.") == "" {
		return errors.New("want an IPv4 address, four numbers up to 255")
	}
	if len(name) > 253 {
		return fmt.Errorf("is a name of %d characters: want 253 at most", len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

// checkLabel checks one part of a name: it may have letters, digits, underscores,
// and hyphens inside.
func checkLabel(label string) error {
	odd := strings.IndexFunc(label, func(c rune) bool {
		const known = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
		return !strings.ContainsRune(known, c)
	})
	switch {
	case odd >= 0:
		c, _ := utf8.DecodeRuneInString(label[odd:])
		return fmt.Errorf("cannot be a name because of its %q: want a name, an address, a prefix or a range", c)
	case label == "":
		return errors.New("has one dot too many: want a name, an address, a prefix or a range")
	case len(label) > 63:
		return fmt.Errorf("has a part of %d characters between dots: want 63 at most", len(label))
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a hyphen at the end of a part: want letters, digits, and hyphens inside")
	}
	return nil
}

// lookalike returns an error if the text is something that people paste instead
// of a host. The error says which part of it is the host.
func lookalike(text string) error {
	switch {
	case text == "":
		return errors.New("want a name or an address")
	case strings.ContainsFunc(text, unicode.IsSpace):
		return errors.New("contains a space: want one host")
	case strings.Contains(text, "://"):
		if u, err := url.Parse(text); err == nil && u.Hostname() != "" {
			return fmt.Errorf("looks like a URL: want only its host, %s", u.Hostname())
		}
		return errors.New("looks like a URL: want only its host")
	case strings.Contains(text, "@"):
		return fmt.Errorf("looks like user@host: want %s", text[strings.LastIndex(text, "@")+1:])
	}
	if host, port, ok := cutPort(text); ok {
		return fmt.Errorf("looks like host:port, and ICMP has no ports (%s): want %s", port, host)
	}
	if strings.ContainsAny(text, "[]") {
		return errors.New("has brackets around something that is not an IPv6 address: want [::1] or a name without brackets")
	}
	if host, _, ok := strings.Cut(text, "/"); ok {
		if host = WithoutPort(host); CheckName(host) == nil {
			return fmt.Errorf("looks like a part of a URL: want only its host, %s", host)
		}
		return errors.New("is not a prefix: want one such as 198.18.0.0/24 or 2001:db8::/120")
	}
	return nil
}

// WithoutPort returns a text without the port that follows a host. Lists that are
// made for programs that connect have one.
func WithoutPort(text string) string {
	if host, _, ok := cutPort(text); ok {
		return host
	}
	return text
}

// cutPort splits host:port.
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
