package icmpcore

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lookAround adapts the advice of e to the process: it may be in a user
// namespace, or have limits that a file capability cannot overcome.
func (e *PermissionError) lookAround() {
	groups, err := os.ReadFile("/proc/self/gid_map")
	inner := err == nil && !mapsAll(string(groups)) // if /proc is not mounted, assume that there is none
	if inner {
		e.executable = "" // a file capability applies only in the user namespace of the file
	}
	if inner && !ownsNetwork() { // then the sysctl belongs to the host and has group numbers of the host
		e.onHost = true
		e.gid = outerID(string(groups), e.gid)
	}
	if !mayGain(unix.CAP_NET_RAW) {
		e.executable = ""
	}
}

// mapsAll reports whether a map of user_namespaces(7) is that of the initial user
// namespace, which maps every ID to itself.
func mapsAll(idMap string) bool {
	f := strings.Fields(idMap)
	return len(f) == 3 && f[0] == "0" && f[1] == "0" && f[2] == "4294967295"
}

// outerID returns the number of an ID outside the user namespace, -1 if the map
// does not have it: then the process cannot know it.
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

// ownsNetwork reports whether the network namespace belongs to the user
// namespace of the process, so that sysctls and capabilities inside apply to it
// (ioctl_nsfs(2)).
func ownsNetwork() bool {
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return false
	}
	defer network.Close() // the error does not matter: nothing was read or written
	owner, err := unix.IoctlRetInt(int(network.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return false // EPERM: it belongs to a user namespace that the process cannot see
	}
	defer unix.Close(owner)
	var theirs, ours unix.Stat_t
	if unix.Fstat(owner, &theirs) != nil || unix.Stat("/proc/self/ns/user", &ours) != nil {
		return false
	}
	return theirs.Ino == ours.Ino && theirs.Dev == ours.Dev
}

// mayGain reports whether the process would get a capability of its file.
func mayGain(capability uintptr) bool {
	bounded, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, capability, 0, 0, 0)
	if err == nil && bounded == 0 {
		return false
	}
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	return err != nil || set == 0 // if it cannot be found out, give the usual advice
}
