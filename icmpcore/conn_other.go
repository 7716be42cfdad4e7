//go:build !linux

package icmpcore

// openConn opens the portable sockets, the only ones other systems have here.
func openConn(kind SocketKind) (conn, error) { return openPortable(kind) }
