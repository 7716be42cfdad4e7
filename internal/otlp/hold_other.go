//go:build !linux

package otlp

// held is empty: this system has no way to hold an id.
type held struct{}

func hold(string) (h held, free bool) { return held{}, true }

// Close does nothing.
func (held) Close() error { return nil }
