package icmpcore

import (
	"encoding/json"
	"strconv"
	"time"
)

// MarshalJSON returns the JSON form of the result: seconds as numbers, null
// where there is no value.
func (r PingResult) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// AppendJSON appends the JSON form of the result, one object on one line, to b
// and returns it. It is written by hand because encoding/json takes longer for
// a result than its echo takes to send and receive.
func (r *PingResult) AppendJSON(b []byte) []byte {
	some, two := r.Received > 0, r.Received > 1
	b = append(b, '{')
	b = appendInt(b, "sent", r.Sent, true)
	b = appendInt(b, "received", r.Received, true)
	b = appendKey(b, "loss")
	if r.Sent > 0 {
		b = strconv.AppendFloat(b, r.Loss, 'g', -1, 64)
	} else {
		b = append(b, "null"...)
	}
	b = appendDuration(b, "min", r.Min, some)
	b = appendDuration(b, "max", r.Max, some)
	b = appendDuration(b, "mean", r.Mean, some)
	b = appendDuration(b, "median", r.Median, some)
	b = appendDuration(b, "jitter", r.Jitter, some)
	b = appendKey(b, "rtt_list")
	b = append(b, '[')
	for i, rtt := range r.RTTs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSeconds(b, rtt)
	}
	b = append(b, ']')
	b = appendInt(b, "ttl", r.TTL, r.TTL > 0)
	b = appendInt(b, "hops", r.Hops, r.TTL > 0)
	b = appendString(b, "os_guess", r.OSGuess, r.TTL > 0)
	b = appendDuration(b, "p95", r.P95, some)
	b = appendString(b, "host", r.Host, true)
	b = appendKey(b, "address")
	if r.Addr.IsValid() {
		b = append(r.Addr.AppendTo(append(b, '"')), '"')
	} else {
		b = append(b, "null"...)
	}
	b = appendString(b, "family", r.Family().String(), r.Addr.IsValid())
	b = appendKey(b, "start")
	b = append(r.Start.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
	b = appendDuration(b, "duration", r.Duration, true)
	b = appendDuration(b, "p50", r.P50, some)
	b = appendDuration(b, "p90", r.P90, some)
	b = appendDuration(b, "p99", r.P99, some)
	b = appendDuration(b, "ipdv", r.IPDV, two)
	b = appendInt(b, "duplicates", r.Duplicates, true)
	b = appendInt(b, "late", r.Late, true)
	b = appendInt(b, "reordered", r.Reordered, true)
	b = appendInt(b, "reply_dscp", r.ReplyDSCP, some && r.ReplyDSCP >= 0)
	b = appendString(b, "timestamps", r.Timestamps.String(), r.Timestamps != TimestampsNone)
	b = appendString(b, "socket", r.Socket.String(), r.Socket != SocketAuto)
	b = appendErrors(b, r.Errors)
	b = appendInt(b, "corrupt", r.Corrupt, true)
	if r.Err != nil {
		b = appendString(b, "error", r.Err.Error(), true)
	}
	return append(b, '}')
}

func appendErrors(b []byte, errs []EchoError) []byte {
	b = append(appendKey(b, "errors"), '[')
	for i, e := range errs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		b = appendInt(b, "seq", e.Seq, true)
		b = appendString(b, "type", string(e.Kind), true)
		b = appendInt(b, "code", e.Code, e.Kind != ErrorSend)
		b = appendString(b, "message", e.Message, true)
		b = appendString(b, "from", e.From.String(), e.From.IsValid())
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendKey appends a key, and the comma before it where it is not the first
// of its object.
func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, key...)
	return append(b, '"', ':')
}

func appendInt(b []byte, key string, v int, present bool) []byte {
	b = appendKey(b, key)
	if !present {
		return append(b, "null"...)
	}
	return strconv.AppendInt(b, int64(v), 10)
}

func appendDuration(b []byte, key string, d time.Duration, present bool) []byte {
	b = appendKey(b, key)
	if !present {
		return append(b, "null"...)
	}
	return appendSeconds(b, d)
}

func appendString(b []byte, key, s string, present bool) []byte {
	b = appendKey(b, key)
	if !present {
		return append(b, "null"...)
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot be: every string has a JSON form
				panic("icmpcore: internal error: " + err.Error())
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendSeconds appends d in seconds, exact to the nanosecond and without
// zeros at the end.
func appendSeconds(b []byte, d time.Duration) []byte {
	ns := int64(d)
	if ns < 0 {
		b = append(b, '-')
		ns = -ns
	}
	b = strconv.AppendInt(b, ns/1e9, 10)
	frac := ns % 1e9
	if frac == 0 {
		return b
	}
	var digits [9]byte
	for i := 8; i >= 0; i-- {
		digits[i] = byte('0' + frac%10)
		frac /= 10
	}
	end := 9
	for digits[end-1] == '0' {
		end--
	}
	b = append(b, '.')
	return append(b, digits[:end]...)
}
