package icmpcore

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"time"
)

// MarshalJSON returns the JSON form of the result. Times are numbers in
// seconds. A value that does not exist is null.
func (r PingResult) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

// AppendJSON appends the JSON form of the result, one object on one line, to b
// and returns it. It does not use encoding/json, which takes longer for a
// result than the engine takes to send and receive an echo.
func (r *PingResult) AppendJSON(b []byte) []byte {
	answered := r.Received > 0
	w := jsonWriter{b: b}
	w.int(`{"sent":`, r.Sent, true)
	w.int(`,"received":`, r.Received, true)
	w.loss(r)
	w.duration(`,"min":`, r.Min, answered)
	w.duration(`,"max":`, r.Max, answered)
	w.duration(`,"mean":`, r.Mean, answered)
	w.duration(`,"median":`, r.Median, answered)
	w.duration(`,"jitter":`, r.Jitter, answered)
	w.text(`,"rtt_list":[`)
	for i, rtt := range r.RTTs {
		if i > 0 {
			w.text(",")
		}
		w.seconds(rtt)
	}
	w.text("]")
	w.int(`,"ttl":`, r.TTL, r.TTL > 0)
	w.int(`,"hops":`, r.Hops, r.TTL > 0)
	w.string(`,"os_guess":`, r.OSGuess, r.TTL > 0)
	w.duration(`,"p95":`, r.P95, answered)
	w.string(`,"host":`, r.Host, true)
	w.address(r.Addr)
	w.word(`,"family":`, r.Family().String(), r.Addr.IsValid())
	w.text(`,"start":"`)
	w.b = append(r.Start.AppendFormat(w.b, time.RFC3339Nano), '"')
	w.duration(`,"duration":`, r.Duration, true)
	w.duration(`,"p50":`, r.P50, answered)
	w.duration(`,"p90":`, r.P90, answered)
	w.duration(`,"p99":`, r.P99, answered)
	w.duration(`,"ipdv":`, r.IPDV, r.IPDVPairs > 0)
	w.int(`,"duplicates":`, r.Duplicates, true)
	w.int(`,"late":`, r.Late, true)
	w.int(`,"reordered":`, r.Reordered, true)
	w.int(`,"reply_dscp":`, r.ReplyDSCP, answered && r.ReplyDSCP >= 0)
	w.word(`,"timestamps":`, r.Timestamps.String(), r.Timestamps != TimestampsNone)
	w.word(`,"socket":`, r.Socket.String(), r.Socket != SocketAuto)
	w.errors(r.Errors)
	w.int(`,"corrupt":`, r.Corrupt, true)
	w.ints(`,"lost":`, r.Lost)
	if r.Err != nil {
		w.string(`,"error":`, r.Err.Error(), true)
	}
	w.text("}")
	return w.b
}

// jsonWriter appends to b. Its methods take a key together with the punctuation
// around it.
type jsonWriter struct {
	b []byte

	first    time.Duration // the first duration written; its text is b[from:to]
	from, to int
}

func (w *jsonWriter) text(s string) { w.b = append(w.b, s...) }

func (w *jsonWriter) loss(r *PingResult) {
	w.text(`,"loss":`)
	if r.Sent > 0 && !math.IsNaN(r.Loss) && !math.IsInf(r.Loss, 0) {
		w.b = strconv.AppendFloat(w.b, r.Loss, 'g', -1, 64)
	} else {
		w.text("null")
	}
}

func (w *jsonWriter) address(a netip.Addr) {
	if !a.IsValid() || a.Zone() != "" { // a zone may contain any characters
		w.string(`,"address":`, a.String(), a.IsValid())
		return
	}
	w.text(`,"address":"`)
	w.b = append(a.AppendTo(w.b), '"')
}

func (w *jsonWriter) errors(errs []EchoError) {
	w.text(`,"errors":[`)
	for i, e := range errs {
		if i > 0 {
			w.text(",")
		}
		w.int(`{"seq":`, e.Seq, true)
		w.string(`,"type":`, string(e.Kind), true)
		w.int(`,"code":`, e.Code, e.Kind != SendFailed)
		w.string(`,"message":`, e.Message, true)
		w.string(`,"from":`, e.From.String(), e.From.IsValid())
		w.text("}")
	}
	w.text("]")
}

func (w *jsonWriter) ints(key string, list []int) {
	w.text(key)
	w.text("[")
	for i, v := range list {
		if i > 0 {
			w.text(",")
		}
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	}
	w.text("]")
}

func (w *jsonWriter) int(key string, v int, present bool) {
	w.text(key)
	if !present {
		w.text("null")
		return
	}
	if 0 <= v && v < 10 {
		w.b = append(w.b, byte('0'+v)) // the usual case
		return
	}
	w.b = strconv.AppendInt(w.b, int64(v), 10)
}

func (w *jsonWriter) duration(key string, d time.Duration, present bool) {
	w.text(key)
	if !present {
		w.text("null")
		return
	}
	w.seconds(d)
}

func (w *jsonWriter) string(key, s string, present bool) {
	if !present || plain(s) {
		w.word(key, s, present)
		return
	}
	quoted, err := json.Marshal(s)
	if err != nil { // impossible: every string has a JSON form
		panic("icmpcore: internal error: " + err.Error())
	}
	w.text(key)
	w.b = append(w.b, quoted...)
}

// plain reports whether s needs no escapes in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// word is like string, for a string that needs no escapes.
func (w *jsonWriter) word(key, s string, present bool) {
	w.text(key)
	if !present {
		w.text("null")
		return
	}
	w.b = append(w.b, '"')
	w.text(s)
	w.b = append(w.b, '"')
}

// seconds writes d in seconds, exact to the nanosecond and without trailing
// zeros. In a result of one echo nearly all times are its RTT, so the text of
// the first duration is used again.
func (w *jsonWriter) seconds(d time.Duration) {
	switch {
	case w.to == 0:
		w.first, w.from = d, len(w.b)
		w.b = appendSeconds(w.b, d)
		w.to = len(w.b)
	case d == w.first:
		w.b = append(w.b, w.b[w.from:w.to]...)
	default:
		w.b = appendSeconds(w.b, d)
	}
}

func appendSeconds(b []byte, d time.Duration) []byte {
	ns := uint64(d)
	if d < 0 {
		b = append(b, '-')
		ns = -ns
	}
	b = strconv.AppendUint(b, ns/1e9, 10)
	frac := uint32(ns % 1e9)
	if frac == 0 {
		return b
	}
	digits := [10]byte{0: '.'}
	for i := 9; i > 0; i-- {
		digits[i] = byte('0' + frac%10)
		frac /= 10
	}
	end := len(digits)
	for digits[end-1] == '0' {
		end--
	}
	return append(b, digits[:end]...)
}
