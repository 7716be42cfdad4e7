package otlp

import (
	"errors"
	"net"
	"syscall"
)

// held is an identity that no other process of the network namespace has.
type held struct{ listener net.Listener }

// hold takes an id: it binds an abstract socket of that name. However the process
// ends, the socket ends with it. free is false if another process has the id. Where
// such a socket cannot exist, nothing is held and every id is free.
func hold(id string) (h held, free bool) {
	l, err := net.Listen("unix", "@pingtel/"+id)
	if err != nil {
		return held{}, !errors.Is(err, syscall.EADDRINUSE)
	}
	return held{l}, true
}

// Close releases the id.
func (h held) Close() error {
	if h.listener == nil {
		return nil
	}
	return h.listener.Close()
}
