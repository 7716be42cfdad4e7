package otlp

import (
	"errors"
	"net"
	"syscall"
)

// held is an identity that no other process of the network namespace has.
type held struct{ listener net.Listener }

// hold takes an id: it binds an abstract socket of that name, which ends with
// the process however that ends. free is false where another process has it.
// Where there can be no such socket nothing is held, and every id is free.
func hold(id string) (h held, free bool) {
	l, err := net.Listen("unix", "@pingtel/"+id)
	if err != nil {
		return held{}, !errors.Is(err, syscall.EADDRINUSE)
	}
	return held{l}, true
}

// Close gives the id free.
func (h held) Close() error {
	if h.listener == nil {
		return nil
	}
	return h.listener.Close()
}
