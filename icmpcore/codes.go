package icmpcore

import (
	"fmt"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// unreachable4 holds the codes of ICMP type 3: 0-5 of RFC 792, 6-12 of RFC
// 1122, 13-15 of RFC 1812.
var unreachable4 = [...]string{
	"network unreachable", "host unreachable", "protocol unreachable", "port unreachable",
	"fragmentation needed and DF set", "source route failed",
	"destination network unknown", "destination host unknown", "source host isolated",
	"communication with destination network administratively prohibited",
	"communication with destination host administratively prohibited",
	"network unreachable for type of service", "host unreachable for type of service",
	"communication administratively prohibited", "host precedence violation", "precedence cutoff in effect",
}

// unreachable6 holds the codes of ICMPv6 type 1: RFC 4443, 7 of RFC 6550, 8
// of RFC 8883.
var unreachable6 = [...]string{
	"no route to destination", "communication administratively prohibited",
	"beyond scope of source address", "address unreachable", "port unreachable",
	"source address failed ingress/egress policy", "reject route to destination",
	"error in source routing header", "headers too long",
}

var exceeded4 = [...]string{"time to live exceeded in transit", "fragment reassembly time exceeded"}
var exceeded6 = [...]string{"hop limit exceeded in transit", "fragment reassembly time exceeded"}

var parameter4 = [...]string{"pointer indicates the error", "missing a required option", "bad length"}

// parameter6 holds the codes of ICMPv6 type 4: RFC 4443, 3 of RFC 7112, 4 of
// RFC 8754, 5-10 of RFC 8883.
var parameter6 = [...]string{
	"erroneous header field", "unrecognized next header type", "unrecognized IPv6 option",
	"first fragment has incomplete header chain", "SR upper-layer header error",
	"unrecognized next header type by intermediate node", "extension header too big",
	"extension header chain too long", "too many extension headers",
	"too many options in extension header", "option too big",
}

// describe returns the kind of an ICMP error and what its type and code mean.
// info is the MTU of a packet that is too big (0 over IPv4 if the router is
// older than RFC 1191), or the pointer of a parameter problem. ok is false if
// the type is not an error about an echo request.
func describe(f Family, typ, code, info int) (kind ErrorKind, message string, ok bool) {
	if f == FamilyIPv4 {
		switch ipv4.ICMPType(typ) {
		case ipv4.ICMPTypeDestinationUnreachable:
			if code == 4 {
				return PacketTooBig, withMTU(unreachable4[4], info), true
			}
			return DestinationUnreachable, codeText("destination unreachable", unreachable4[:], code), true
		case ipv4.ICMPTypeTimeExceeded:
			return TimeExceeded, codeText("time exceeded", exceeded4[:], code), true
		case ipv4.ICMPTypeParameterProblem:
			return ParameterProblem, parameterText(parameter4[:], code, info, code == 0), true
		}
		return "", "", false
	}
	switch ipv6.ICMPType(typ) {
	case ipv6.ICMPTypeDestinationUnreachable:
		return DestinationUnreachable, codeText("destination unreachable", unreachable6[:], code), true
	case ipv6.ICMPTypePacketTooBig:
		return PacketTooBig, withMTU("packet too big", info), true
	case ipv6.ICMPTypeTimeExceeded:
		return TimeExceeded, codeText("time exceeded", exceeded6[:], code), true
	case ipv6.ICMPTypeParameterProblem:
		return ParameterProblem, parameterText(parameter6[:], code, info, true), true
	}
	return "", "", false
}

func codeText(kind string, texts []string, code int) string {
	if code < len(texts) {
		return texts[code]
	}
	return fmt.Sprintf("%s, code %d", kind, code)
}

// parameterText also names the faulty byte, if the code has one.
func parameterText(texts []string, code, pointer int, pointed bool) string {
	text := codeText("parameter problem", nil, code)
	if code < len(texts) {
		text = "parameter problem: " + texts[code]
	}
	if pointed {
		text += fmt.Sprintf(", at byte %d", pointer)
	}
	return text
}

func withMTU(text string, mtu int) string {
	if mtu == 0 {
		return text
	}
	return fmt.Sprintf("%s, MTU %d", text, mtu)
}
