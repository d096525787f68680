package systemd

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// sendPatience is for how long a message waits for room in systemd's socket. It then is
// an error, so that a manager that hangs holds nobody up for longer.
const sendPatience = 5 * time.Second

// A Notifier tells systemd about this service. The zero value tells nobody. Its methods
// are safe for concurrent use.
type Notifier struct {
	conn     *net.UnixConn // nil: nobody wants to be told
	watchdog time.Duration // 0: nobody waits for signs of life
}

// NewNotifier opens what NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID name, and removes
// them from the environment. Where they are not set it tells nobody.
func NewNotifier() (*Notifier, error) {
	n := new(Notifier)
	name := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	var err error
	if n.watchdog, err = daemon.SdWatchdogEnabled(true); err != nil {
		return nil, fmt.Errorf("systemd: %w", err)
	}
	if name == "" {
		return new(Notifier), nil
	}
	if name[0] != '/' && name[0] != '@' {
		return nil, fmt.Errorf("systemd: NOTIFY_SOCKET=%.120q: want an absolute path, or @ and an abstract name", name)
	}
	if n.conn, err = net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: name}); err != nil {
		return nil, fmt.Errorf("systemd: NOTIFY_SOCKET: %w", err)
	}
	return n, nil
}

// Listens reports whether there is anybody to tell.
func (n *Notifier) Listens() bool { return n.conn != nil }

// Ready tells that the service serves, or that it has loaded its settings again.
func (n *Notifier) Ready() error { return n.send(daemon.SdNotifyReady) }

// Reloading tells that the service loads its settings again; Ready has to follow.
func (n *Notifier) Reloading() error {
	// With the time, systemd knows the Ready that follows from one that came before it
	// asked (Type=notify-reload in systemd.service(5)).
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	return n.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// Stopping tells that the service has begun to end.
func (n *Notifier) Stopping() error { return n.send(daemon.SdNotifyStopping) }

// Status tells, in one line for people, how the service is.
func (n *Notifier) Status(text string) error {
	return n.send("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

// Close ends telling. Nothing may be told after it.
func (n *Notifier) Close() error {
	if n.conn == nil {
		return nil
	}
	return n.conn.Close()
}

// send sends one message. On a connected socket it is one write(2), which a filter of
// system calls lets pass.
func (n *Notifier) send(message string) error {
	if n.conn == nil {
		return nil
	}
	n.conn.SetWriteDeadline(time.Now().Add(sendPatience))
	if _, err := n.conn.Write([]byte(message)); err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}
