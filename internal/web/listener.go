package web

import (
	"net"
	"sync"
	"time"
)

// limitListener accepts a connection only while fewer than cap(free) are open,
// so that nobody can use up the descriptors of the process.
type limitListener struct {
	net.Listener
	free   chan struct{} // one for each connection that is open
	full   func()        // closes connections without a request; nil: does not
	closed chan struct{}
	once   sync.Once
}

func (l *limitListener) Accept() (net.Conn, error) {
	if !l.take() {
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(writeBuffer) //nolint:errcheck // then a slow reader is noticed later
	}
	return &limitConn{Conn: c, listener: l}, nil
}

// writeBuffer is what the system may hold of an answer. By itself it holds some
// megabytes, so that a reader who takes nothing is noticed late.
const writeBuffer = 256 << 10

// fullPause is how long a connection that finds no room waits before those
// without a request are closed again.
const fullPause = time.Second

// take takes a place for a connection, and reports whether the listener is still
// open. While there is none it has idle connections closed: otherwise anyone who
// leaves some open keeps all others away for as long as he likes.
func (l *limitListener) take() bool {
	select {
	case l.free <- struct{}{}:
		return true
	case <-l.closed:
		return false
	default:
	}
	tick := time.NewTicker(fullPause)
	defer tick.Stop()
	for {
		if l.full != nil {
			l.full()
		}
		select {
		case l.free <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-tick.C:
		}
	}
}

func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// limitConn is a connection that counts.
type limitConn struct {
	net.Conn
	listener *limitListener
	once     sync.Once
}

// Write makes Close reset the connection if the peer has not taken b. In HTTP/1.0 the end
// of the connection is that of the answer, so a part of one would look whole.
func (c *limitConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if tcp, ok := c.Conn.(*net.TCPConn); ok && err != nil {
		tcp.SetLinger(0) //nolint:errcheck // it has ended already
	}
	return n, err
}

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.listener.free })
	return err
}
