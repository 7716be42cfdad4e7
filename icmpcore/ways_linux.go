package icmpcore

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ways are the sockets that send for one family, all with the identifier of the
// socket that receives. The kernel counts a packet against the send buffer of
// its socket until the packet has left the machine. A neighbour that does not
// answer, or a stalled device, holds its packets for seconds or forever. With
// one socket, 277 short packets to such targets would stop all others.
type ways []*sender

const (
	// slowWays is the index of the first way for slow requests. Packets that
	// sick targets hold can fill the ways from there on, and leave the ways
	// before it to the other targets.
	slowWays = 2

	// mostWays is how many ways there are, if the system allows so many. A
	// process that may have fewer than fewDescriptors opens only one, and
	// leaves the other descriptors to the other family and to lookups.
	mostWays       = 8
	fewDescriptors = 128

	// sendBuffer is the requested send buffer of every way except the first:
	// room for 20,000 short packets. The first way keeps the system's default,
	// which makes a sender wait for a slow device.
	sendBuffer = 8 << 20

	// stampBuffer is the requested receive buffer, for the timestamps of a way.
	stampBuffer = 1 << 20

	// The first way is jammed when it has been full for the time patience and
	// has accepted fewer than progress packets in that time. A link of 10
	// Mbit/s takes 75 short ones. The other ways are jammed as soon as they are
	// full. A jammed way is tried once in each jamPause, until it has accepted
	// progress packets.
	patience = 5 * time.Millisecond
	progress = 64
	jamPause = 5 * time.Millisecond
)

// jam is the state of a way's send buffer.
type jam struct {
	jammed bool
	full   time.Time // since when it has been full
	last   time.Time // when it was last found full
	until  time.Time // if it is jammed: when to try it again
	taken  int       // packets accepted since it was found full
}

// send hands requests to the first way that has room; see conn.send. Slow
// requests try the ways from the last one backwards, all others from the first
// one on.
func (w ways) send(slow bool, reqs []request) (int, error) {
	if slow {
		for i := len(w) - 1; i >= min(slowWays, len(w)-1); i-- {
			if n, err := w[i].sendUnlessJammed(reqs, 0); !errors.Is(err, errFull) {
				return n, err
			}
		}
		return 0, errFull
	}
	for i, s := range w {
		wait := time.Duration(0)
		if i == 0 {
			wait = patience
		}
		n, err := s.sendUnlessJammed(reqs, wait)
		if !errors.Is(err, errFull) || !s.jam.jammed {
			return n, err
		}
	}
	return 0, errFull
}

// sendUnlessJammed hands requests to one way.
func (s *sender) sendUnlessJammed(reqs []request, wait time.Duration) (int, error) {
	j := &s.jam
	if j.jammed && time.Now().Before(j.until) {
		return 0, errFull
	}
	n, err := s.send(reqs)
	if errors.Is(err, errFull) {
		j.foundFull(time.Now(), wait)
		return n, err
	}
	j.took(n)
	return n, err
}

// took records packets that the way has accepted.
func (j *jam) took(n int) {
	if j.taken += n; j.taken >= progress {
		j.jammed, j.last = false, time.Time{}
	}
}

// foundFull records that the buffer is full, and that the way is jammed if the
// buffer has been full for the time wait.
func (j *jam) foundFull(now time.Time, wait time.Duration) {
	if now.Sub(j.last) > 2*patience {
		j.full, j.taken = now, 0
	}
	j.last = now
	if j.jammed || now.Sub(j.full) >= wait {
		j.jammed, j.until, j.taken = true, now.Add(jamPause), 0
	}
}

// openWays opens the sockets that send for a family. If the system allows fewer
// than mostWays, at least one must open.
func openWays(f Family, kind SocketKind) (ways, error) {
	most := mostWays
	if l := (unix.Rlimit{}); unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < fewDescriptors {
		most = 1
	}
	w := make(ways, 0, most)
	queue := newIncoming(receiveBatch, firstBufferSize)
	for len(w) < most {
		s := &sender{sock: sock{family: f, kind: kind, source: TimestampsUser}, queue: &queue}
		if len(w) > 0 {
			s.id = w[0].id
		}
		if err := s.open(s.setUp); err != nil {
			if len(w) == 0 {
				return nil, err
			}
			break
		}
		w = append(w, s)
	}
	return w, nil
}

// used reports whether anything was ever sent.
func (w ways) used() bool { return w[0].used() || w[len(w)-1].used() }

// close closes the ways' sockets.
func (w ways) close() error {
	var errs []error
	for _, s := range w {
		errs = append(errs, os.NewSyscallError("close", unix.Close(s.fd)))
	}
	return errors.Join(errs...)
}
