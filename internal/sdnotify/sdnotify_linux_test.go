package sdnotify

import (
	"context"
	"errors"
	"math"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// manager starts a socket like that of a service manager. The function that it
// returns reads the next message.
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

func TestWatchdogTime(t *testing.T) {
	tests := []struct {
		usec, pid string
		want      time.Duration
		fault     string
	}{
		{"", "", 0, ""},
		{"30000000", "", 30 * time.Second, ""},
		{"3600000000", "", time.Hour, ""}, // more than an int holds on 32 bits
		{"18446744073709551615", "", math.MaxInt64 / 1000 * time.Microsecond, ""},
		{"30000000", "7", 30 * time.Second, ""},
		{"30000000", "8", 0, ""}, // another process's
		{"0", "", 0, `WATCHDOG_USEC is "0"`},
		{"-1", "", 0, `WATCHDOG_USEC is "-1"`},
		{"soon", "", 0, `WATCHDOG_USEC is "soon"`},
		{"30000000", "x", 0, `WATCHDOG_PID is "x"`},
	}
	for _, tt := range tests {
		got, err := watchdogTime(tt.usec, tt.pid, 7)
		if got != tt.want || (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("watchdogTime(%q, %q) = %v, %v; want %v, %q", tt.usec, tt.pid, got, err, tt.want, tt.fault)
		}
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

func TestWatchWhileAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var notified []time.Duration
		alive := func() bool { d := time.Since(start); return d < 30*time.Second || d > 50*time.Second }
		notify := func() error { notified = append(notified, time.Since(start)); return nil }
		ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
		defer cancel()
		if err := watch(ctx, 20*time.Second, alive, notify); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 60 * time.Second}
		if d := cmp.Diff(want, notified); d != "" {
			t.Errorf("notified (-want +got):\n%s", d)
		}
	})
}

func TestWatchCannotNotify(t *testing.T) {
	refused := errors.New("nobody listens")
	err := watch(t.Context(), time.Hour, func() bool { return true }, func() error { return refused })
	if !errors.Is(err, refused) {
		t.Errorf("watch = %v, want %v", err, refused)
	}
}
