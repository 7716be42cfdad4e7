package icmpcore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func exampleResult() PingResult {
	r := PingResult{
		Host: "gw.example", Addr: testAddr4, Sent: 5, Received: 4,
		RTTs: []time.Duration{6200 * time.Microsecond, 4400 * time.Microsecond, 4500 * time.Microsecond, 4400 * time.Microsecond},
		TTL:  57, Hops: hops(57), OSGuess: osGuess(57), ReplyDSCP: 46, Duplicates: 1, Late: 2, Reordered: 3, Corrupt: 4,
		Lost: []int{3}, IPDV: 950 * time.Microsecond, IPDVPairs: 2, Timestamps: TimestampsKernel, Socket: SocketRaw,
		Start: time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC), Duration: 1500 * time.Millisecond,
		Errors: []EchoError{{Seq: 3, Kind: TimeExceeded, Type: 11, Message: "time to live exceeded in transit", From: netip.MustParseAddr("198.18.255.1")}},
	}
	r.fillStatistics()
	return r
}

func TestJSON(t *testing.T) {
	failed := PingResult{Host: "no \"such\"\nho\\st", Start: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Err: errors.New("resolve: no such host")}
	unsent := PingResult{Host: "198.18.0.1", Addr: testAddr4, Socket: SocketDatagram, Start: failed.Start,
		Errors: []EchoError{{Seq: 1, Kind: SendFailed, Message: "network is unreachable", Err: errors.New("x")}}}
	tests := []struct {
		name string
		r    PingResult
		want string
	}{
		{"replies", exampleResult(), `{"sent":5,"received":4,"loss":20,"min":0.0044,"max":0.0062,"mean":0.004875,"median":0.00445,` +
			`"jitter":0.00088459,"rtt_list":[0.0062,0.0044,0.0045,0.0044],"ttl":57,"hops":8,"os_guess":"Linux/Unix/BSD/macOS/Android",` +
			`"p95":0.005945,"host":"gw.example","address":"198.18.0.1","family":"ipv4","start":"2026-11-24T12:00:00.123456789Z","duration":1.5,` +
			`"p50":0.00445,"p90":0.00569,"p99":0.006149,"ipdv":0.00095,"duplicates":1,"late":2,"reordered":3,"reply_dscp":46,` +
			`"timestamps":"kernel","socket":"raw","errors":[{"seq":3,"type":"time_exceeded","code":0,"message":"time to live exceeded in transit",` +
			`"from":"198.18.255.1"}],"corrupt":4,"lost":[3]}`},
		{"could not be pinged", failed, `{"sent":0,"received":0,"loss":null,"min":null,"max":null,"mean":null,"median":null,"jitter":null,` +
			`"rtt_list":[],"ttl":null,"hops":null,"os_guess":null,"p95":null,"host":"no \"such\"\nho\\st","address":null,"family":null,` +
			`"start":"2026-11-24T12:00:00Z","duration":0,"p50":null,"p90":null,"p99":null,"ipdv":null,"duplicates":0,"late":0,"reordered":0,` +
			`"reply_dscp":null,"timestamps":null,"socket":null,"errors":[],"corrupt":0,"lost":[],"error":"resolve: no such host"}`},
		{"could not be sent", unsent, `{"sent":0,"received":0,"loss":null,"min":null,"max":null,"mean":null,"median":null,"jitter":null,` +
			`"rtt_list":[],"ttl":null,"hops":null,"os_guess":null,"p95":null,"host":"198.18.0.1","address":"198.18.0.1","family":"ipv4",` +
			`"start":"2026-11-24T12:00:00Z","duration":0,"p50":null,"p90":null,"p99":null,"ipdv":null,"duplicates":0,"late":0,"reordered":0,` +
			`"reply_dscp":null,"timestamps":null,"socket":"datagram","errors":[{"seq":1,"type":"send","code":null,` +
			`"message":"network is unreachable","from":null}],"corrupt":0,"lost":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(tt.r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("host", "message", int64(1234567), 3, 2)
	f.Add("\x00\xff\u2028", "\"\\", int64(-1), -1, 0)
	f.Add("", "", int64(math.MinInt64), 1, 1)
	f.Fuzz(func(t *testing.T, host, message string, ns int64, sent, received int) {
		addr := netip.MustParseAddr("fe80::1").WithZone(host)
		r := PingResult{Host: host, Addr: addr, Sent: sent, Received: received, Min: time.Duration(ns), RTTs: []time.Duration{time.Duration(ns)},
			TTL: 64, OSGuess: message, Errors: []EchoError{{Kind: ErrorKind(message), Message: message, From: addr}}, Err: errors.New(message)}
		var got struct {
			Host, Address string
			RTTs          []json.Number `json:"rtt_list"`
		}
		b := r.AppendJSON(nil)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		seconds := new(big.Rat).SetFrac64(ns, 1e9)
		if rtt, ok := new(big.Rat).SetString(got.RTTs[0].String()); !ok || rtt.Cmp(seconds) != 0 {
			t.Errorf("RTT = %s s, want exactly %d ns", got.RTTs[0], ns)
		}
		if want := strings.ToValidUTF8(host, "\uFFFD"); strings.ToValidUTF8(got.Host, "\uFFFD") != want && !strings.Contains(got.Host, "\uFFFD") {
			t.Errorf("host = %q, want %q", got.Host, want)
		}
		if utf8.ValidString(host) && got.Address != addr.String() {
			t.Errorf("address = %q, want %q", got.Address, addr)
		}
	})
}

func TestFailure(t *testing.T) {
	router, other := netip.MustParseAddr("198.18.255.1"), netip.MustParseAddr("198.18.255.2")
	unreachable := EchoError{Seq: 1, Kind: DestinationUnreachable, Type: 3, Code: 1, Message: "host unreachable", From: router}
	expired := EchoError{Seq: 2, Kind: TimeExceeded, Type: 11, Message: "expired", From: other}
	big := EchoError{Kind: PacketTooBig, MTU: 1400, Message: "packet too big, MTU 1400", From: router}
	nobody := EchoError{Kind: ParameterProblem, Message: "parameter problem"}
	refused := EchoError{Kind: SendFailed, Message: "operation not permitted", Err: &SendError{Addr: testAddr4, Err: os.NewSyscallError("sendmmsg", syscall.EPERM)}}
	cancelled := errors.New("cancelled")
	tests := []struct {
		name string
		r    PingResult
		want error
		text string
	}{
		{"a reply", PingResult{Sent: 3, Received: 1, Errors: []EchoError{expired}}, nil, ""},
		{"silence", PingResult{Sent: 3}, ErrTimeout, "icmpcore: no reply in time"},
		{"what came most", PingResult{Sent: 5, Errors: []EchoError{unreachable, expired, expired}}, &expired, "expired, reported by 198.18.255.2"},
		{"the first of equals", PingResult{Sent: 5, Errors: []EchoError{unreachable, expired}}, &unreachable, "host unreachable, reported by 198.18.255.1"},
		{"too big", PingResult{Sent: 5, Errors: []EchoError{big}}, &big, "packet too big, MTU 1400, reported by 198.18.255.1"},
		{"no reporter", PingResult{Sent: 5, Errors: []EchoError{nobody}}, &nobody, "parameter problem"},
		{"refused", PingResult{Sent: 1, Errors: []EchoError{refused}}, &refused, "send to 198.18.0.1: sendmmsg: operation not permitted"},
		{"not tried", PingResult{Err: cancelled}, cancelled, "cancelled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.r.Success() != (tt.want == nil) {
				t.Errorf("Success = %t", tt.r.Success())
			}
			got := tt.r.Failure()
			var e, want *EchoError
			switch {
			case errors.As(tt.want, &want):
				if !errors.As(got, &e) || *e != *want {
					t.Fatalf("Failure = %#v, want %#v", got, want)
				}
			case got != tt.want:
				t.Fatalf("Failure = %v, want %v", got, tt.want)
			}
			if got != nil && got.Error() != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
		})
	}
}

func TestErrorsWrap(t *testing.T) {
	eperm := os.NewSyscallError("socket", syscall.EPERM)
	send := &SendError{Addr: testAddr4, Err: eperm}
	for _, err := range []error{newPermissionError(SocketAuto, eperm), send, &ResolveError{Host: "x", Err: eperm}, &EchoError{Kind: SendFailed, Err: send}} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%T does not wrap what the system said", err)
		}
	}
	var as *SendError
	if err := error(&EchoError{Kind: SendFailed, Err: send}); !errors.As(err, &as) || as != send {
		t.Errorf("errors.As(%v) finds %v, want the *SendError", err, as)
	}
}

func TestShellWord(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/pingtel":     "/usr/bin/pingtel",
		"/home/a b/pingtel":    "'/home/a b/pingtel'",
		"/tmp/it's/$x/pingtel": `'/tmp/it'\''s/$x/pingtel'`,
		"/opt/azAZ09/pingtel":  "/opt/azAZ09/pingtel",
		"/tmp/a|b":             "'/tmp/a|b'",
		"/tmp/`id`":            "'/tmp/`id`'",
		"":                     "''",
	} {
		if got := shellWord(path); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}

func TestResultString(t *testing.T) {
	r := exampleResult()
	if got, want := r.String(), "gw.example (198.18.0.1): 5 sent, 4 received, 20% loss, rtt min/mean/max/jitter 4.4ms/4.875ms/6.2ms/884.59µs"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	if failed := (PingResult{Host: "a.test", Err: errors.New("no such host")}); failed.String() != "a.test: no such host" {
		t.Errorf("String = %q", failed.String())
	}
	if cut := (PingResult{Host: "a.test", Sent: 2, Received: 2, Err: errors.New("cancelled")}); !strings.Contains(cut.String(), "2 sent, 2 received") {
		t.Errorf("String = %q, which does not say what came", cut.String())
	}
	lost := PingResult{Host: "198.18.0.1", Addr: testAddr4, Sent: 2, Loss: 100, Errors: []EchoError{{Kind: TimeExceeded, Message: "expired", From: testAddr4}}}
	if got, want := lost.String(), "198.18.0.1: 2 sent, 0 received, 100% loss: expired, reported by 198.18.0.1"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

// TestReplyWithoutMark distinguishes a reply with DSCP 0 from no reply.
func TestReplyWithoutMark(t *testing.T) {
	for want, r := range map[string]PingResult{`"reply_dscp":0,`: {Received: 1}, `"reply_dscp":null,`: {}, `"reply_dscp":null,"timestamps"`: {Received: 1, ReplyDSCP: -1}} {
		if got := string(r.AppendJSON(nil)); !strings.Contains(got, want) {
			t.Errorf("%+v: %s, want %s", r, got, want)
		}
	}
}

// TestPrint prints a result by value.
func TestPrint(t *testing.T) {
	r := exampleResult()
	if got := fmt.Sprint(r); got != r.String() {
		t.Errorf("Sprint = %s, want %s", got, r.String())
	}
	made := PingResult{Sent: 1, Errors: []EchoError{{Kind: SendFailed, Message: "made up"}}} // not made by a Pinger
	if got := made.String(); !strings.Contains(got, "made up") {
		t.Errorf("String = %s, which does not say why", got)
	}
}
