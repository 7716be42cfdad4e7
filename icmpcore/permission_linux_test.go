package icmpcore

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOuterID(t *testing.T) {
	const container = "         0       4242          1\n         1     100000      65536\n"
	for _, tt := range []struct {
		idMap string
		id    int
		want  int
	}{
		{container, 0, 4242}, {container, 1, 100000}, {container, 998, 100997}, {container, 65536, 165535},
		{container, 65537, -1}, {"", 65534, -1}, {"0 x 1\n", 0, -1}, {"0 5\n", 0, -1},
	} {
		if got := outerID(tt.idMap, tt.id); got != tt.want {
			t.Errorf("outerID(%q, %d) = %d, want %d", tt.idMap, tt.id, got, tt.want)
		}
	}
	for idMap, want := range map[string]bool{"         0          0 4294967295\n": true, container: false, "0 0 1\n": false, "": false} {
		if got := mapsAll(idMap); got != want {
			t.Errorf("mapsAll(%q) = %t", idMap, got)
		}
	}
}

// TestPermissionErrorNamesTheFile checks that the advice has the path of the
// running program, no matter under which name it was started.
func TestPermissionErrorNamesTheFile(t *testing.T) {
	started := os.Args[0]
	defer func() { os.Args[0] = started }()
	os.Args[0] = "pingtel-by-another-name"
	want, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Empty if a capability of the file would not help.
	if got := newPermissionError(SocketAuto, unix.EPERM).executable; got != want && got != "" {
		t.Errorf("executable %q, want %q", got, want)
	}
}

func TestPermissionErrorText(t *testing.T) {
	const denied = " (permission denied): "
	for _, tt := range []struct {
		e    PermissionError
		want string
	}{
		{PermissionError{executable: "/usr/bin/pingtel", gid: 7}, "no permission for an ICMP socket" + denied +
			"either run `sudo setcap cap_net_raw+ep /usr/bin/pingtel`, or run `sudo sysctl -w net.ipv4.ping_group_range='7 7'`"},
		{PermissionError{socket: SocketRaw, executable: "/a b", gid: 7}, "no permission for a raw ICMP socket" + denied +
			"run `sudo setcap cap_net_raw+ep '/a b'`"},
		{PermissionError{socket: SocketDatagram, executable: "/a", gid: 7}, "no permission for a datagram ICMP socket" + denied +
			"run `sudo sysctl -w net.ipv4.ping_group_range='7 7'`"},
		{PermissionError{gid: 7}, "no permission for an ICMP socket" + denied +
			"either start it with the capability CAP_NET_RAW (--cap-add NET_RAW of a container, AmbientCapabilities=CAP_NET_RAW of a systemd unit), or run `sudo sysctl -w net.ipv4.ping_group_range='7 7'`"},
		{PermissionError{gid: 4242, onHost: true}, "no permission for an ICMP socket" + denied +
			"run `sudo sysctl -w net.ipv4.ping_group_range='4242 4242'` on the host"},
		{PermissionError{gid: -1, onHost: true}, "no permission for an ICMP socket" + denied +
			"set the sysctl net.ipv4.ping_group_range on the host, for the group that this process's group is mapped to"},
		{PermissionError{socket: SocketRaw, gid: -1, onHost: true}, "no permission for a raw ICMP socket" + denied +
			"start it outside of its user namespace, which does not own the network, with the capability CAP_NET_RAW"},
	} {
		tt.e.Err = unix.EACCES
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}
