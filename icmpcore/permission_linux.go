package icmpcore

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lookAround corrects what e advises by what the process is in: a user
// namespace, or bounds that a file's capability cannot pass.
func (e *PermissionError) lookAround() {
	groups, err := os.ReadFile("/proc/self/gid_map")
	inner := err == nil && !mapsAll(string(groups)) // without the file, where /proc is not mounted, as if there were none
	if inner {
		e.executable = "" // a file's capability is worth something in the file's own user namespace
	}
	if inner && !ownsNetwork() { // then the sysctl is that of the host, and so are its groups
		e.onHost = true
		e.gid = outerID(string(groups), e.gid)
	}
	if !mayGain(unix.CAP_NET_RAW) {
		e.executable = ""
	}
}

// mapsAll reports whether a map of user_namespaces(7) is that of the first user
// namespace, in which every ID is itself.
func mapsAll(idMap string) bool {
	f := strings.Fields(idMap)
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}

// outerID returns the number that an ID has outside, -1 where the map does not
// hold it: the process cannot know it then.
func outerID(idMap string, id int) int {
	for line := range strings.Lines(idMap) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		inside, err1 := strconv.ParseInt(f[0], 10, 64)
		outside, err2 := strconv.ParseInt(f[1], 10, 64)
		count, err3 := strconv.ParseInt(f[2], 10, 64)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		if i := int64(id) - inside; i >= 0 && i < count {
			return int(outside + i)
		}
	}
	return -1
}

// ownsNetwork reports whether the network namespace belongs to the process's
// user namespace, so that its sysctls and capabilities are those of the inside
// (ioctl_nsfs(2)).
func ownsNetwork() bool {
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return false
	}
	defer network.Close() // was not even read
	owner, err := unix.IoctlRetInt(int(network.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return false // EPERM: it belongs to one that the process cannot see
	}
	defer unix.Close(owner)
	var theirs, ours unix.Stat_t
	if unix.Fstat(owner, &theirs) != nil || unix.Stat("/proc/self/ns/user", &ours) != nil {
		return false
	}
	return theirs.Ino == ours.Ino && theirs.Dev == ours.Dev
}

// mayGain reports whether a file's capability would become one of the process.
func mayGain(capability uintptr) bool {
	bounded, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, capability, 0, 0, 0)
	if err == nil && bounded == 0 {
		return false
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err != nil || set == 0 // where nothing can be told the usual cure is named
}
