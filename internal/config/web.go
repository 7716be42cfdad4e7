package config

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// Web is the [web] table.
type Web struct {
	Listen     string // host:port to listen on; "" turns the listener off
	ConfigFile string // TLS and passwords, as Prometheus' exporters have them; "" for neither
	Metrics    bool   // serve /metrics
	Probe      WebProbe

	Page    bool          // serve the page
	Keep    time.Duration // how long the page remembers
	MaxSize int64         // bytes of what it remembers
}

// readWeb reads the [web] table.
func (r *reader) readWeb(t *table, w *Web, defaults probe) {
	*w = Web{Metrics: true}
	read(t, "listen", r.listenAddress, &w.Listen)
	read(t, "config_file", r.text, &w.ConfigFile)
	read(t, "metrics", boolean, &w.Metrics)
	r.readPage(t, w)
	r.readWebProbe(t.table("probe"), &w.Probe, defaults)
	t.refuseUnknown()
}

// listenAddress converts an address to listen on.
func (r *reader) listenAddress(v any) (string, error) {
	s, err := r.text(v)
	if err != nil || s == "" {
		return "", err
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil && host == "" && port == "" {
		err = fmt.Errorf("no port")
	}
	if err == nil {
		var n uint64
		if n, err = strconv.ParseUint(port, 10, 16); err == nil && n == 0 {
			err = fmt.Errorf("no port")
		}
	}
	if err != nil {
		return "", fmt.Errorf("%q: want an address and a port, \"127.0.0.1:9473\" or \"[::1]:9473\"; \":9473\" is all addresses", s)
	}
	return s, nil
}

// Loopback reports whether only this machine can reach the listener.
func (w *Web) Loopback() bool {
	host, _, err := net.SplitHostPort(w.Listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
