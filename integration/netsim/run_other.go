//go:build !linux

package netsim

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// Run skips the test t: only Linux has namespaces and TUN devices.
func Run(t *testing.T, _ []Rule, _ func(t *testing.T, n *Net)) {
	t.Helper()
	t.Skip(cannotRun + "it needs Linux, and this is " + runtime.GOOS)
}

var errNoDevice = errors.New("netsim: not implemented on " + runtime.GOOS)

// device replaces that of Linux. There is never one.
type device struct{}

func (d *device) now() time.Duration          { return 0 }
func (d *device) inject([]byte) error         { return errNoDevice }
func (d *device) setMTU(int) error            { return errNoDevice }
func (d *device) setUp(bool) error            { return errNoDevice }
func (d *device) route(netip.Addr) error      { return errNoDevice }
func (d *device) unroute(netip.Addr) error    { return errNoDevice }
func (d *device) addLAN(bool) error           { return errNoDevice }
func (d *device) addAddr(netip.Addr) error    { return errNoDevice }
func (d *device) removeAddr(netip.Addr) error { return errNoDevice }
func allowDatagram(bool) error                { return errNoDevice }
func dropPrivileges(*exec.Cmd)                {}

func (d *device) flood(context.Context, int, int, func(int, []byte) []byte) int { return 0 }
