package icmpcore

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
)

// ErrTimeout is the verdict on a series in which nothing came back.
var ErrTimeout = errors.New("icmpcore: no reply in time")

// errHeld is ErrTimeout for a series in which every request was held.
var errHeld = fmt.Errorf("%w: no request left this machine (no answer to ARP or neighbour discovery, or the device is stalled)", ErrTimeout)

// OptionError reports an option whose value is not allowed.
type OptionError struct {
	Field string // the option, in lower case: "ttl"
	Value string // the value given
	Want  string // what is allowed: "1 to 255"
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s %s: want %s", e.Field, quoteEmpty(e.Value), e.Want)
}

// quoteEmpty makes an empty value visible.
func quoteEmpty(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// joinFaults joins option errors. A single one is returned as it is.
func joinFaults(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// PermissionError means that the system does not allow this process to open an
// ICMP socket. Its text says what to do: set a capability or a sysctl.
// errors.Is(err, os.ErrPermission) is true for it.
type PermissionError struct {
	Err error // the system's refusal, of both kinds of socket if both were tried; it wraps an [*os.SyscallError]

	socket     SocketKind // the kind requested
	executable string     // path of the running binary, for setcap; "" if a file capability would not help
	gid        int        // effective group of the process, as the sysctl must name it; -1 if unknown
	onHost     bool       // the sysctl to set is that of the host: the process is in a user namespace that does not own its network
}

func (e *PermissionError) Error() string { return e.text(runtime.GOOS) }

// Is reports whether target is [fs.ErrPermission]. The refusal itself is not, on
// some systems.
func (e *PermissionError) Is(target error) bool { return target == fs.ErrPermission }

func (e *PermissionError) text(system string) string {
	switch system {
	case "linux":
	case "windows":
		return fmt.Sprintf("no permission for an ICMP socket (%v): run it as an administrator", e.Err)
	default:
		return fmt.Sprintf("no permission for an ICMP socket (%v): run it as root", e.Err)
	}
	raw, datagram := e.rawCure(), e.datagramCure()
	switch e.socket {
	case SocketRaw:
		return fmt.Sprintf("no permission for a raw ICMP socket (%v): %s", e.Err, raw)
	case SocketDatagram:
		return fmt.Sprintf("no permission for a datagram ICMP socket (%v): %s", e.Err, datagram)
	}
	if e.onHost {
		return fmt.Sprintf("no permission for an ICMP socket (%v): %s", e.Err, datagram) // no capability of the process applies there
	}
	return fmt.Sprintf("no permission for an ICMP socket (%v): either %s, or %s", e.Err, raw, datagram)
}

// rawCure says how to allow the process a raw socket.
func (e *PermissionError) rawCure() string {
	switch {
	case e.onHost:
		return "start it outside of its user namespace, which does not own the network, with the capability CAP_NET_RAW"
	case e.executable == "":
		return "start it with the capability CAP_NET_RAW (--cap-add NET_RAW of a container, AmbientCapabilities=CAP_NET_RAW of a systemd unit)"
	}
	return fmt.Sprintf("run `sudo setcap cap_net_raw+ep %s`", shellWord(e.executable))
}

// datagramCure says how to allow the process a datagram socket.
func (e *PermissionError) datagramCure() string {
	switch {
	case e.gid < 0:
		return "set the sysctl net.ipv4.ping_group_range on the host, for the group that this process's group is mapped to"
	case e.onHost:
		return fmt.Sprintf("run `sudo sysctl -w net.ipv4.ping_group_range='%d %d'` on the host", e.gid, e.gid)
	}
	return fmt.Sprintf("run `sudo sysctl -w net.ipv4.ping_group_range='%d %d'`", e.gid, e.gid)
}

// shellWord quotes a path that a shell would split or expand.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:,", r)
	}
	if path != "" && strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// Unwrap returns Err.
func (e *PermissionError) Unwrap() error { return e.Err }

// newPermissionError describes the running process.
func newPermissionError(kind SocketKind, err error) *PermissionError {
	exe, exeErr := os.Executable()
	if exeErr != nil {
		exe = os.Args[0] // the best name left if /proc is not mounted
	}
	e := &PermissionError{Err: err, socket: kind, executable: exe, gid: os.Getegid()}
	e.lookAround()
	return e
}

// ResolveError means that a name has no address of the requested family, or could
// not be looked up.
type ResolveError struct {
	Host   string // as given
	Family Family // the one requested
	Err    error  // often a [*net.DNSError]; it wraps [syscall.EMFILE] if there was no file descriptor for the query
}

func (e *ResolveError) Error() string {
	return fmt.Sprintf("lookup %s: %s", quoteEmpty(e.Host), lookupText(e.Err, e.Family))
}

// Unwrap returns Err.
func (e *ResolveError) Unwrap() error { return e.Err }

// SendError means that the system refused to send an echo request: there is no
// route, a firewall forbids it, or the message is larger than the interface takes
// and must not be fragmented.
type SendError struct {
	Addr netip.Addr // the address probed
	Err  error      // what is wrong with the source or the route, or what the system said; it wraps an [*os.SyscallError]
}

func (e *SendError) Error() string { return fmt.Sprintf("send to %s: %v", e.Addr, e.Err) }

// Unwrap returns Err.
func (e *SendError) Unwrap() error { return e.Err }

// ErrorKind says what kind of error an echo request met. Its text is the type of
// the error in the JSON form.
type ErrorKind string

// The kinds of error: four that ICMP reports, and one of this system.
const (
	// DestinationUnreachable is ICMP type 3 (RFC 792, RFC 1122, RFC 1812) except
	// code 4, or ICMPv6 type 1 (RFC 4443).
	DestinationUnreachable ErrorKind = "destination_unreachable"

	// TimeExceeded is ICMP type 11 or ICMPv6 type 3: the TTL or hop limit ran
	// out on the way, or fragments were missing at its end.
	TimeExceeded ErrorKind = "time_exceeded"

	// PacketTooBig is ICMP type 3 code 4 (RFC 1191) or ICMPv6 type 2: the packet
	// is larger than the next link takes and must not be fragmented.
	PacketTooBig ErrorKind = "packet_too_big"

	// ParameterProblem is ICMP type 12 or ICMPv6 type 4: a router or the target
	// could not make sense of the packet's header.
	ParameterProblem ErrorKind = "parameter_problem"

	// SendFailed means that the system refused to send the request.
	SendFailed ErrorKind = "send"
)

// EchoError is the error that one echo request met: an ICMP error about it, or
// the system's refusal to send it. [PingResult.Errors] holds one for each request
// that ended so, and [PingResult.Failure] and [Echo.Err] return one as an error:
//
//	var e *icmpcore.EchoError
//	if errors.As(err, &e) && e.Kind == icmpcore.DestinationUnreachable {
type EchoError struct {
	Seq     int // which request of the series, from 1
	Kind    ErrorKind
	Type    int        // ICMP or ICMPv6 type, 0 for SendFailed
	Code    int        // ICMP or ICMPv6 code, 0 for SendFailed
	MTU     int        // for PacketTooBig: of the next link in bytes, 0 if the router does not say
	Pointer int        // for ParameterProblem: the faulty byte of the request's IP packet, also 0 if not said
	Message string     // what type and code mean, or what the system said
	From    netip.Addr // who reported it; invalid for SendFailed and where unknown
	Quote   *Quote     // what it says about the request; nil for SendFailed
	Err     error      // for SendFailed: a [*SendError]; nil for the other kinds
}

func (e *EchoError) Error() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case !e.From.IsValid():
		return e.Message
	}
	return e.Message + ", reported by " + e.From.String()
}

// Unwrap returns Err.
func (e *EchoError) Unwrap() error { return e.Err }

// noSocketError says why addresses of a family cannot be pinged.
func noSocketError(f Family, err error) error {
	name := map[Family]string{FamilyIPv4: "IPv4", FamilyIPv6: "IPv6"}[f]
	if errors.Is(err, syscall.EAFNOSUPPORT) {
		return fmt.Errorf("this system has no %s: %w", name, err)
	}
	return fmt.Errorf("no %s socket: %w", name, err)
}

// refusal is why the system refuses a request, if its own error says little.
type refusal struct {
	cause string
	err   error // the system's error
}

func (e *refusal) Error() string { return e.cause }

func (e *refusal) Unwrap() error { return e.err }

// systemText returns the cause of a refusal, or the system's error without the
// name of the call.
func systemText(err error) string {
	var known *refusal
	if errors.As(err, &known) {
		return known.cause
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// isFull reports whether the system cannot take a packet now but can later.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM)
}
