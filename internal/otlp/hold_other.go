//go:build !linux

package otlp

// held is nothing: no id can be held here.
type held struct{}

func hold(string) (h held, free bool) { return held{}, true }

// Close does nothing.
func (held) Close() error { return nil }
