package sdnotify

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// manager listens as a service manager does.
func manager(t *testing.T) func() string {
	t.Helper()
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	c, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Skip("no datagram sockets in the file system here:", err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	return func() string {
		buf := make([]byte, 4096)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
}

func TestStates(t *testing.T) {
	heard := manager(t)
	tests := []struct {
		name string
		tell func() error
		want string
	}{
		{"ready", func() error { return Ready("3 targets") }, `^READY=1\nSTATUS=3 targets$`},
		{"reloading", Reloading, `^RELOADING=1\nMONOTONIC_USEC=[0-9]+\n$`},
		{"stopping", Stopping, `^STOPPING=1$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.tell(); err != nil {
				t.Fatal(err)
			}
			if got := heard(); !regexp.MustCompile(tt.want).MatchString(got) {
				t.Errorf("manager heard %q, want %s", got, tt.want)
			}
		})
	}
}

func TestWatchdog(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(time.Hour.Microseconds(), 10))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Watch(ctx, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	if got := heard(); got != "WATCHDOG=1" {
		t.Errorf("manager heard %q, want WATCHDOG=1", got)
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if err := Watch(t.Context(), func() bool { return true }); err == nil {
		t.Error("Watch with WATCHDOG_USEC=soon: no error")
	}
}

func TestWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	never := func() bool { t.Error("alive was called"); return true }
	if err := errors.Join(Ready(""), Reloading(), Stopping(), Watch(t.Context(), never)); err != nil {
		t.Error(err)
	}
}

func TestManagerGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := Ready(""); err == nil {
		t.Error("Ready with nobody at the socket: no error")
	}
}
