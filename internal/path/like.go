package path

import (
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// PartialCount is how many echoes to each hop tell where a part is lost, if it is not a
// small one. [DefaultCount] is enough where nothing answers, or all does.
const PartialCount = 20

// Like returns the echoes of a trace to a target that o pings: they have its size, code
// point, source and so on. s is what the target has answered, and longest the longest
// round-trip time.
func Like(o icmpcore.Options, s Series, longest time.Duration) icmpcore.Options {
	o.TTL, o.Keep, o.OnEcho = 0, 0, nil
	o.Count, o.Interval, o.Timeout = DefaultCount, DefaultInterval, max(icmpcore.DefaultTimeout, 2*longest)
	if s.Received > 0 && s.Received < s.Sent {
		o.Count = PartialCount
	}
	return o
}
