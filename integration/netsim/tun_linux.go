package netsim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// spinTime is how long the thread spins before a packet is due, instead of
	// sleeping: a little longer than a wake-up takes on an idle machine.
	spinTime = 50 * time.Microsecond
	// burst is how many packets are read between two checks of the stop flag.
	burst = 64
	// maxPacket is the longest packet that the device gives: its MTU.
	maxPacket = 1 << 16
)

// device is the TUN device behind which the simulated network lies, and the
// thread that serves it.
type device struct {
	fd    int
	wake  int // an eventfd that ends the thread's sleep
	index int // of the interface
	began time.Time
	stats *counters

	stopped atomic.Bool
	done    sync.WaitGroup
}

// openTUN makes the device with the name.
func openTUN(name string) (*device, error) {
	fd, err := openDevice(name, unix.IFF_TUN)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &device{fd: fd, wake: wake, began: time.Now()}, nil
}

// openTAP makes an Ethernet device with the name. It exists until its descriptor is
// closed.
func openTAP(name string) (fd int, err error) { return openDevice(name, unix.IFF_TAP) }

func openDevice(name string, kind uint16) (fd int, err error) {
	const path = "/dev/net/tun"
	fd, err = unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%w: load the module (modprobe tun) and let the caller "+
			"read and write it (chmod 666 %s; in a container --device %s)",
			&os.PathError{Op: "open", Path: path, Err: err}, path, path)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	req.SetUint16(kind | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("making a TUN device (it needs CAP_NET_ADMIN in the new namespace): %w",
			os.NewSyscallError("ioctl TUNSETIFF", err))
	}
	return fd, nil
}

func (d *device) now() time.Duration { return time.Since(d.began) }

// start serves s on its own thread until close.
func (d *device) start(s *sim) {
	d.done.Go(func() {
		// The thread is never unlocked: it ends with the goroutine, and its
		// timer slack with it.
		runtime.LockOSThread()
		// If it fails, a sleep lasts 50 µs longer, which is not a reason to fail.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		d.serve(s)
	})
}

// close ends the thread and the device.
func (d *device) close() error {
	d.stopped.Store(true)
	_, err := unix.Write(d.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	if err != nil {
		return os.NewSyscallError("write eventfd", err)
	}
	d.done.Wait()
	return errors.Join(
		os.NewSyscallError("close", unix.Close(d.fd)),
		os.NewSyscallError("close", unix.Close(d.wake)))
}

// serve reads packets and sends those that are due until stopped.
func (d *device) serve(s *sim) {
	buf := make([]byte, maxPacket)
	for !d.stopped.Load() {
		read := 0
		for ; read < burst; read++ {
			// Packets that are due are sent before the next read, so that a
			// burst does not delay them.
			s.flush(d.now())
			size := d.read(buf)
			if size <= 0 {
				break
			}
			s.receive(buf[:size], d.now())
		}
		if read < burst {
			d.sleep(s.flush(d.now()))
		}
	}
}

// read reads a packet into buf and returns its size, or 0 if there is none. It makes
// a raw system call, which never blocks.
func (d *device) read(buf []byte) int {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(d.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
	if errno != 0 {
		return 0 // EAGAIN, or EIO while the interface is down
	}
	return int(n)
}

// write sends a packet to the host. It counts the packet first, so that the count is
// right as soon as the host has the packet. A packet that the host refuses is counted
// as refused.
func (d *device) write(packet []byte) {
	d.stats.sent.Add(1)
	_, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(d.fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(packet))), uintptr(len(packet)))
	if errno != 0 {
		d.stats.refused()
	}
}

// inject is write for goroutines other than that of the device.
func (d *device) inject(packet []byte) error {
	d.stats.sent.Add(1)
	if _, err := unix.Write(d.fd, packet); err != nil {
		d.stats.refused()
		return os.NewSyscallError("write", err)
	}
	return nil
}

// sleep blocks until a packet comes, close is called, or shortly before due
// if there is a packet waiting.
func (d *device) sleep(due time.Duration, waiting bool) {
	var timeout *unix.Timespec
	if waiting {
		left := due - spinTime - d.now()
		if left <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(left))
		timeout = &ts
	}
	fds := []unix.PollFd{
		{Fd: int32(d.fd), Events: unix.POLLIN},
		{Fd: int32(d.wake), Events: unix.POLLIN},
	}
	// An interrupted sleep and a failed one look the same: the caller's loop
	// runs again.
	_, _ = unix.Ppoll(fds, timeout, nil)
}

// flood sends packets at a rate; see [Net.Flood].
func (d *device) flood(ctx context.Context, rate, count int, build func(i int, b []byte) []byte) int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const pause = 100 * time.Microsecond
	buf := make([]byte, 0, maxPacket)
	begin := d.now()
	for sent := 0; sent < count; {
		if ctx.Err() != nil {
			return sent
		}
		due := min(count, 1+int((d.now()-begin).Seconds()*float64(rate)))
		for ; sent < due; sent++ {
			buf = build(sent, buf[:0])
			d.write(buf)
		}
		ts := unix.NsecToTimespec(int64(pause))
		_ = unix.Nanosleep(&ts, nil) // interrupted or not, the clock decides
	}
	return count
}
