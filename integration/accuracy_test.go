//go:build linux

package integration

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/pingtel/pingtel/icmpcore"
	"github.com/pingtel/pingtel/integration/netsim"
)

var (
	accuracy     = flag.Int("accuracy", 0, "echoes of each tool in TestAccuracy; 0 leaves it out")
	accuracyLoad = flag.Bool("accuracy-load", false, "keep all cores busy with stress-ng meanwhile")
)

// TestAccuracy lets pingtel, ping, fping and a prober that puts the time of sending
// into the payload measure hosts of one kind at the same time. It compares each RTT
// with the truth: the time from the arrival of the request at the far end of a pair
// of virtual devices to the arrival of the reply at the near end. Both are the
// kernel's timestamps of incoming packets. A capture of outgoing packets would not
// do: it is taken before the driver, and takes longer than the error to measure.
func TestAccuracy(t *testing.T) {
	if *accuracy == 0 {
		t.Skip("integration: a measurement: go test ./integration -v -run TestAccuracy -accuracy=500 [-accuracy-load]")
	}
	const tools = 4
	var rules []netsim.Rule
	for i := range tools {
		rules = append(rules, netsim.Rule{Prefix: prefix(host(icmpcore.FamilyIPv4, i)), Delay: 5 * ms})
	}
	netsim.Run(t, rules, func(t *testing.T, _ *netsim.Net) {
		if *accuracyLoad {
			stress := exec.Command("stress-ng", "--cpu", "4", "--timeout", strconv.Itoa(*accuracy/20+60))
			stress.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := stress.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := syscall.Kill(-stress.Process.Pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
				_ = stress.Wait() // killed
			}()
		}
		far := apart(t)
		requests, replies := capture(t, farEnd, "nsenter", "-t", far, "-n"), capture(t, nearEnd)
		type run struct {
			name string
			f    func(to netip.Addr) map[int]time.Duration // by the number of the echo, from 0
		}
		runs := []run{{"pingtel", pingtelRTTs(t)}, {"ping", toolRTTs(t, 1, "ping", "-n", "-i", "0.05", "-c")},
			{"fping", toolRTTs(t, 0, "fping", "-p", "50", "-c")}, {"payload time, receive stamp", payloadRTTs(t)}}
		got := make([]chan map[int]time.Duration, tools)
		for i, r := range runs {
			got[i] = make(chan map[int]time.Duration, 1)
			go func() { got[i] <- r.f(host(icmpcore.FamilyIPv4, i)) }() // the receive below waits for it
		}
		rtts := make([]map[int]time.Duration, tools)
		for i := range got {
			rtts[i] = <-got[i]
		}
		wire := pairs(t, requests(), replies())
		for i, r := range runs {
			report(t, r.name, rtts[i], wire[host(icmpcore.FamilyIPv4, i)])
		}
	})
}

// report prints percentiles of the differences between RTTs and truth.
func report(t *testing.T, name string, rtts map[int]time.Duration, wire []time.Duration) {
	t.Helper()
	var errs []time.Duration
	for i, truth := range wire {
		if rtt, ok := rtts[i]; ok && truth > 0 {
			errs = append(errs, max(rtt-truth, truth-rtt))
		}
	}
	if len(errs) == 0 {
		t.Errorf("%s: none of %d RTTs and %d on the wire belong together", name, len(rtts), len(wire))
		return
	}
	slices.Sort(errs)
	t.Logf("%-28s error p50 %8v p99 %8v max %8v of %d echoes, %d without an RTT", name,
		icmpcore.Percentile(errs, 50), icmpcore.Percentile(errs, 99), errs[len(errs)-1], len(errs), *accuracy-len(rtts))
}

// apart moves the simulated network into its own network namespace, at the far end
// of a pair of virtual Ethernet devices, and returns a process in it.
func apart(t *testing.T) (far string) {
	t.Helper()
	holder := exec.Command("sleep", "3600")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := holder.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = holder.Wait() // killed
	})
	far = strconv.Itoa(holder.Process.Pid)
	const script = `
ip link add ` + nearEnd + ` type veth peer name ` + farEnd + ` netns $1
ip link set ` + netsim.Interface + ` netns $1
ip address add 198.19.255.1 dev ` + nearEnd + `
ip link set ` + nearEnd + ` up
nsenter -t $1 -n sh -e -c '
	sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
	ip link set ` + netsim.Interface + ` up
	ip link set ` + farEnd + ` up
	ip address add 198.19.255.2 peer 198.19.255.1 dev ` + farEnd + `
	ip route add 198.18.0.0/16 dev ` + netsim.Interface + `
'
ip route add 198.18.0.0/16 via 198.19.255.2 dev ` + nearEnd + ` onlink src 198.19.255.1`
	if out, err := exec.Command("sh", "-e", "-c", script, "sh", far).CombinedOutput(); err != nil {
		t.Fatalf("ip, sysctl or nsenter, from Debian's iproute2, procps and util-linux: %v: %s", err, out)
	}
	return far
}

// The two devices between the probers and the simulated network.
const nearEnd, farEnd = "near", "far"

// capture starts tcpdump, with the command enter in front, on the incoming packets of
// a device. It returns a function that ends tcpdump and returns its text.
func capture(t *testing.T, device string, enter ...string) func() string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "capture")
	args := append(enter, "tcpdump", "-i", device, "-Q", "in", "-n", "-tt", "--nano", "-B", "65536", "-U", "-w", file, "icmp")
	cmd := exec.Command(args[0], args[1:]...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("tcpdump, from Debian's package of that name: ", err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "listening on") {
	}
	go func() { // ends with tcpdump
		for lines.Scan() {
		}
	}()
	return func() string {
		// The kernel passes packets on in blocks, the last one after a second.
		// To pass them on at once would disturb the measurement.
		last := time.NewTimer(2 * time.Second)
		<-last.C
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its status says that it was interrupted
		out, err := exec.Command("tcpdump", "-n", "-tt", "--nano", "-r", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
}

var packetLine = regexp.MustCompile(`^(\d+)\.(\d{9}) IP (\S+) > (\S+): ICMP echo (request|reply), id (\d+), seq (\d+)`)

// pairs finds the reply to each request in tcpdump's texts of both.
func pairs(t *testing.T, requests, replies string) map[netip.Addr][]time.Duration {
	t.Helper()
	type key struct{ host, id, seq string }
	type request struct {
		at     int64
		number int
	}
	sent := make(map[key]request)
	got := make(map[netip.Addr][]time.Duration) // in the order of the requests; 0: no reply
	for line := range strings.SplitSeq(requests+replies, "\n") {
		m := packetLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		s, errS := strconv.ParseInt(m[1], 10, 64)
		ns, errN := strconv.ParseInt(m[2], 10, 64)
		if errS != nil || errN != nil {
			t.Fatalf("%q", line)
		}
		at := s*1e9 + ns
		if m[5] == "request" {
			a := netip.MustParseAddr(m[4])
			sent[key{m[4], m[6], m[7]}] = request{at, len(got[a])}
			got[a] = append(got[a], 0)
			continue
		}
		if from, ok := sent[key{m[3], m[6], m[7]}]; ok {
			got[netip.MustParseAddr(m[3])][from.number] = time.Duration(at - from.at)
		}
	}
	return got
}

func pingtelRTTs(t *testing.T) func(netip.Addr) map[int]time.Duration {
	return func(to netip.Addr) map[int]time.Duration {
		r, err := icmpcore.Ping(t.Context(), to.String(), icmpcore.Options{Count: *accuracy, Interval: 50 * ms})
		if err != nil || r.Timestamps != icmpcore.TimestampsKernel || r.Received != r.Sent {
			t.Error(r.Timestamps, r.Received, err)
		}
		rtts := make(map[int]time.Duration)
		for i, rtt := range r.RTTs {
			rtts[i] = rtt
		}
		return rtts
	}
}

var toolTime = regexp.MustCompile(`(?:icmp_seq=|: \[)(\d+).*?(?:time=|bytes, )([0-9.]+) ms`)

// toolRTTs runs a command, which counts from first, and adds the count and the host
// to its arguments.
func toolRTTs(t *testing.T, first int, args ...string) func(netip.Addr) map[int]time.Duration {
	return func(to netip.Addr) map[int]time.Duration {
		out, err := exec.CommandContext(t.Context(), args[0], append(args[1:], strconv.Itoa(*accuracy), to.String())...).Output()
		if err != nil && len(out) == 0 { // fping's status says that it has lost some
			t.Errorf("%s: %v", args[0], err)
		}
		rtts := make(map[int]time.Duration)
		for _, m := range toolTime.FindAllStringSubmatch(string(out), -1) {
			seq, errS := strconv.Atoi(m[1])
			d, errD := time.ParseDuration(m[2] + "ms")
			if errS != nil || errD != nil {
				t.Error(errS, errD)
			}
			rtts[seq-first] = d
		}
		return rtts
	}
}

// payloadRTTs writes the wall time into each request, computes its checksum, sends
// it, and uses the kernel's timestamp of the reply, but no timestamp of sending.
func payloadRTTs(t *testing.T) func(netip.Addr) map[int]time.Duration {
	return func(to netip.Addr) map[int]time.Duration {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		if err != nil {
			t.Error(err)
			return nil
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			t.Error(err)
		}
		rtts := make(map[int]time.Duration)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		tick := time.NewTicker(50 * ms)
		defer tick.Stop()
		for seq := 0; seq < *accuracy && ctx.Err() == nil; seq++ {
			rtt, err := payloadRTT(fd, to, seq)
			if err != nil {
				t.Error(err)
				return rtts
			}
			rtts[seq] = rtt
			<-tick.C
		}
		return rtts
	}
}

func payloadRTT(fd int, to netip.Addr, seq int) (time.Duration, error) {
	const id = 0x7abc
	sent := time.Now().UnixNano()
	m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: id, Seq: seq, Data: binary.BigEndian.AppendUint64(nil, uint64(sent))}}
	b, err := m.Marshal(nil)
	if err != nil {
		return 0, err
	}
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
		return 0, err
	}
	buf, oob := make([]byte, 1500), make([]byte, 256)
	for {
		n, on, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		if n < 28 || buf[20] != 0 || binary.BigEndian.Uint16(buf[24:]) != id || binary.BigEndian.Uint16(buf[26:]) != uint16(seq) {
			continue
		}
		msgs, err := unix.ParseSocketControlMessage(oob[:on])
		if err != nil {
			return 0, fmt.Errorf("no stamp: %w", err)
		}
		if len(msgs) == 0 {
			return 0, errors.New("no stamp")
		}
		ts := (*unix.Timespec)(unsafe.Pointer(&msgs[0].Data[0]))
		return time.Duration(ts.Nano() - sent), nil
	}
}
