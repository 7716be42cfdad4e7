package netsim

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
)

const (
	lanInterface = "lan0"
	lanPrefixes  = "198.19.0.1/16 2001:db8:1a::1/64"
)

// addLAN makes an Ethernet device with addresses on it, and nobody behind it. The
// device exists as long as its descriptor, to the end of the process.
func (d *device) addLAN(forever bool) error {
	if _, err := openTAP(lanInterface); err != nil {
		return err
	}
	link, err := net.InterfaceByName(lanInterface)
	if err != nil {
		return err
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		if !forever {
			break
		}
		name := "/proc/sys/net/" + family + "/neigh/" + lanInterface + "/mcast_solicit"
		if err := os.WriteFile(name, []byte("1000000"), 0); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+lanInterface+"/accept_dad", []byte("0"), 0); err != nil {
		return err
	}
	if err := setLink(link.Index, linkChange{up: new(true)}); err != nil {
		return err
	}
	for p := range strings.FieldsSeq(lanPrefixes) {
		p := netip.MustParsePrefix(p)
		if err := addAddr(link.Index, p); err != nil {
			return fmt.Errorf("adding the address %s: %w", p, err)
		}
		if err := awaitLocal(link.Index, p.Addr()); err != nil {
			return err
		}
	}
	return nil
}
