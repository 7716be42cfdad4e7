package web

import (
	"net"
	"sync"
)

// limitListener accepts a connection only while fewer than cap(free) are open,
// so that nobody can use up the descriptors of the process.
type limitListener struct {
	net.Listener
	free   chan struct{} // one for each connection that is open
	closed chan struct{}
	once   sync.Once
}

func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitConn{Conn: c, listener: l}, nil
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

func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.listener.free })
	return err
}
