package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pingtel/pingtel/internal/config"
)

// askTime is how long the process has to say whether it is ready.
const askTime = 5 * time.Second

// ErrNoListener is the error of [Ask] for a file without a listener.
var ErrNoListener = errors.New("web.listen is not set, so nobody can be asked")

// Ask asks the process of this host that listens as c says whether it is ready, for
// containers that have no HTTP client. The text is its answer. The error says that
// there is no answer, or that c has no listener to ask.
func Ask(ctx context.Context, c *config.Config) (ready bool, text string, err error) {
	if c.Web.Listen == "" {
		return false, "", fmt.Errorf("%s: %w", c.File, ErrNoListener)
	}
	scheme := "http"
	f, err := readConfigFile(c.Web.ConfigFile)
	if err != nil {
		return false, "", err
	}
	if f.encrypted() {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(c.Web.Listen)
	if err != nil { // the reader of the file has looked at it
		return false, "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/-/ready", nil)
	if err != nil {
		return false, "", err
	}
	client := http.Client{Transport: &http.Transport{ // without a proxy: it is this host
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate has another name, and nothing secret is sent
	}}
	answer, err := client.Do(r)
	if err != nil {
		return false, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return false, "", err
	}
	if answer.StatusCode == http.StatusUnauthorized { // who wants a password answers; more it does not tell
		return true, "it answers, and wants a password", nil
	}
	return answer.StatusCode == http.StatusOK, strings.TrimSpace(string(b)), nil
}
