package report

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pingtel/pingtel/icmpcore"
)

// echoJSON is the JSON form of an echo's event, in the order of its keys. What
// does not exist is null.
type echoJSON struct {
	Host    string              `json:"host"`
	Address *netip.Addr         `json:"address"`
	Seq     int                 `json:"seq"`
	Time    time.Time           `json:"time"`
	Outcome string              `json:"outcome"`
	RTT     *seconds            `json:"rtt"`
	TTL     *int                `json:"ttl"`
	From    *netip.Addr         `json:"from"`
	Type    *icmpcore.ErrorKind `json:"type"`
	Code    *int                `json:"code"`
	Message *string             `json:"message"`
}

// seconds is a duration that JSON has in seconds, exact to the nanosecond.
type seconds time.Duration

// MarshalJSON writes no exponents, as the JSON form of a result has none.
func (s seconds) MarshalJSON() ([]byte, error) {
	b := strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 9, 64)
	return []byte(strings.TrimSuffix(strings.TrimRight(string(b), "0"), ".")), nil
}

// AppendEchoJSON appends one JSON object, on one line, for one thing that
// happened to an echo. A result has the key "sent"; an echo has "seq".
func AppendEchoJSON(b []byte, e *icmpcore.Echo) []byte {
	form := echoJSON{Host: e.Host, Seq: e.Seq, Time: e.Time, Outcome: e.Outcome.String()}
	if e.Addr.IsValid() {
		form.Address = &e.Addr
	}
	if e.From.IsValid() {
		form.From = &e.From
	}
	switch e.Outcome {
	case icmpcore.OutcomeReply, icmpcore.OutcomeDuplicate:
		form.RTT = (*seconds)(&e.RTT)
	case icmpcore.OutcomeError:
		form.addError(e.Err)
	}
	if e.RTT > 0 { // also of an ICMP error; a very late reply has none
		form.RTT = (*seconds)(&e.RTT)
	}
	if e.TTL > 0 {
		form.TTL = &e.TTL
	}
	text, err := json.Marshal(form)
	if err != nil { // cannot happen: every field has a JSON form
		panic("report: internal error: " + err.Error())
	}
	return append(append(b, text...), '\n')
}

// addError fills in type, code and message as the key "errors" of a result has
// them.
func (f *echoJSON) addError(err error) {
	var e *icmpcore.EchoError
	if !errors.As(err, &e) {
		return
	}
	f.Type, f.Message = &e.Kind, &e.Message
	if e.Kind != icmpcore.SendFailed {
		f.Code = &e.Code
	}
}
