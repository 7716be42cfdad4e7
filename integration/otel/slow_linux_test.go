package otel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pingtel/pingtel/integration/netsim"
	"github.com/pingtel/pingtel/integration/peer"
)

const slowHosts = 400 // whose figures, 4 MiB, are more than the system's buffers hold

// TestSlowScrapers: ten clients ask for /metrics and read a byte now and then, for as
// long as the test lasts. Three of them at most are answered at a time, the others get
// 503. All targets are measured as if nobody read: no series is left out, no echo is
// lost, and no round-trip time is longer than the network's; the process stays ready.
// Who reads too slowly loses its place, so that others get their scrape, and it is whole.
func TestSlowScrapers(t *testing.T) {
	const delay = 20 * time.Millisecond
	rules := []netsim.Rule{{Prefix: netip.MustParsePrefix("198.18.0.0/16"), Delay: delay}}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		const address = "127.0.0.1:9473"
		p := peer.Start(t, exec.Command(peer.Pingtel(), "serve", "--config", write(t, "pingtel.toml", fmt.Sprintf(`
[agent]
interval = "4s"
[defaults]
count = 2
ping_interval = "100ms"
timeout = "3s"
[web]
listen = %q
[[targets]]
hosts = ["198.18.2.1-198.18.3.144"]
`, address))))
		scrape := func() string { return page(t, "http://"+address+"/metrics") }
		var before string
		peer.Await(t, "a series of each target", func() bool {
			before = scrape()
			return strings.Count(before, "\nping_requests_total{") == slowHosts
		}, p)

		stop := make(chan struct{})
		var readers sync.WaitGroup
		defer readers.Wait()
		defer close(stop)
		statuses := make(chan int, 10)
		for range 10 {
			c := dialSlowly(t, address)
			first := make(chan struct{})
			readers.Go(func() { readSlowly(c, statuses, first, stop) })
			<-first // so that the three are the first three
		}
		got := make(map[int]int)
		for range 10 {
			got[<-statuses]++
		}
		t.Logf("the ten got %v", got)
		if refused := got[http.StatusServiceUnavailable]; got[http.StatusOK] < 3 || refused == 0 || got[http.StatusOK]+refused != 10 {
			t.Errorf("the ten got %v, want 200 for three of them at a time", got)
		}

		// While they read: every target has two more rounds, and the process is ready.
		requests := read(before, "ping_requests_total", "server_address")
		var text string
		served := 0
		peer.Await(t, "two more rounds of each target, in a scrape of somebody else", func() bool {
			if r, err := http.Get("http://" + address + "/-/ready"); err != nil || r.Body.Close() != nil || r.StatusCode != http.StatusOK {
				t.Fatalf("ready: %v, %v", r, err)
			}
			answer, whole := wholeScrape(t, address)
			if !whole {
				return false // all places are taken
			}
			text = answer
			served++
			now := read(text, "ping_requests_total", "server_address")
			for host, n := range requests {
				if now[host] < n+4 {
					return false
				}
			}
			return true
		}, p)
		t.Logf("%d scrapes of others while ten read slowly", served)
		checkUndisturbed(t, text, delay)
	})
}

// dialSlowly connects with a receive buffer that holds little.
func dialSlowly(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	return c
}

// readSlowly asks for /metrics and reads a byte now and then until stop is closed or the
// connection ends. It says which status it got, and that it has begun to read.
func readSlowly(c net.Conn, status chan<- int, first chan<- struct{}, stop <-chan struct{}) {
	defer c.Close()
	io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n") // the answer shows whether it has arrived
	r := bufio.NewReaderSize(c, 16)
	line, err := r.ReadString('\n')
	close(first)
	var code int
	if _, err := fmt.Sscanf(line, "HTTP/1.1 %d", &code); err != nil {
		code = 0
	}
	status <- code
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		select {
		case <-stop:
			return
		case <-tick.C:
			_, err = r.ReadByte()
		}
	}
}

// wholeScrape asks for /metrics as others do, and reports whether it was answered. An
// answer that is cut short fails the test.
func wholeScrape(t *testing.T, address string) (text string, ok bool) {
	t.Helper()
	r, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		t.Fatal(err)
	case r.StatusCode == http.StatusServiceUnavailable:
		return "", false
	case r.StatusCode != http.StatusOK || strings.Count(string(b), "\nping_up{") != slowHosts:
		t.Fatalf("status %d, %d targets", r.StatusCode, strings.Count(string(b), "\nping_up{"))
	}
	return string(b), true
}

// checkUndisturbed looks at what was measured: nothing is lost or left out.
func checkUndisturbed(t *testing.T, text string, delay time.Duration) {
	t.Helper()
	requests, replies := read(text, "ping_requests_total", "server_address"), read(text, "ping_replies_total", "server_address")
	sums := read(text, "ping_rtt_seconds_sum", "server_address")
	var means []float64
	for host, n := range requests {
		if replies[host] != n {
			t.Errorf("%s: %v replies of %v", host, replies[host], n)
		}
		means = append(means, sums[host]/replies[host])
	}
	slices.Sort(means)
	if len(means) != slowHosts || means[0] < delay.Seconds() {
		t.Errorf("%d hosts, shortest mean %v s, want %d and at least %v", len(means), means[0], slowHosts, delay)
	}
	t.Logf("mean round-trip times: median %.4f s, longest %.4f s", means[len(means)/2], means[len(means)-1])
	if !strings.Contains(text, "\nping_rounds_skipped_total 0\n") {
		t.Error("series were left out")
	}
}
