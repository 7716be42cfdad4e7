package plugin

import (
	"testing"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// TestZeroEncoder: an encoder that nobody has made has the default format.
func TestZeroEncoder(t *testing.T) {
	r := &icmpcore.PingResult{Sent: 1, Received: 1, RTTs: []time.Duration{time.Millisecond}, Start: time.Unix(1, 0)}
	var zero Encoder
	got, err := zero.Append(nil, "a", nil, r)
	want, _ := NewEncoder(Format{}).Append(nil, "a", nil, r)
	if err != nil || string(got) != string(want) {
		t.Errorf("the zero Encoder wrote %q, %v, want %q", got, err, want)
	}
}
