package listen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Patience bounds the time from an offer until the successor takes it, in which it
// loads and gives up what it likes, and from then until the answer.
const Patience = time.Minute

// What is said on a control connection, each in one message.
const (
	offerHead = "credrpc takeover 1\n" // the two nodes follow, and three descriptors are passed
	take      = "take"
	yours     = "yours"
	no        = "no: " // the reason follows
)

// Descriptors of an offer, in their order.
const (
	offeredListener = iota
	offeredLock
	offeredControl
	offeredCount
)

const (
	offerSize   = len(offerHead) + 4*8 // bytes
	longestSaid = 256                  // bytes, more than any message
)

// appendOffer appends the message of an offer.
func appendOffer(dst []byte, socket, control node) []byte {
	dst = append(dst, offerHead...)
	for _, n := range []uint64{socket.dev, socket.ino, control.dev, control.ino} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return dst
}

// parseOffer returns what an offer says. The nodes have no path.
func parseOffer(message []byte) (socket, control node, err error) {
	numbers, ok := strings.CutPrefix(string(message), offerHead)
	if !ok || len(message) != offerSize {
		return node{}, node{}, fmt.Errorf("the running server says %.19q, want an offer of this version: stop it, and start this one", message)
	}
	next := func() (n uint64) {
		n, numbers = binary.BigEndian.Uint64([]byte(numbers)), numbers[8:]
		return n
	}
	socket.dev, socket.ino, control.dev, control.ino = next(), next(), next(), next()
	return socket, control, nil
}

// receiveOffer reads an offer and its descriptors, which are the caller's to close
// unless there is an error.
func receiveOffer(conn *net.UnixConn) (message []byte, fds []int, err error) {
	message = make([]byte, longestSaid)
	control := make([]byte, unix.CmsgSpace(offeredCount*4)) // 4 bytes a descriptor
	n, size, flags, _, err := conn.ReadMsgUnix(message, control)
	if err != nil {
		return nil, nil, err
	}
	message = message[:n]
	messages, err := unix.ParseSocketControlMessage(control[:size])
	for i := range messages {
		more, rightsErr := unix.ParseUnixRights(&messages[i])
		fds, err = append(fds, more...), errors.Join(err, rightsErr)
	}
	reason, refused := strings.CutPrefix(string(message), no)
	switch {
	case err != nil:
	case refused:
		err = fmt.Errorf("%w: %s", ErrNoOffer, reason)
	case len(fds) != offeredCount || flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0:
		err = fmt.Errorf("the running server says %.19q and passes %d descriptors, want an offer with %d: stop it, and start this one", message, len(fds), offeredCount)
	}
	if err != nil {
		closeAll(fds)
		return nil, nil, err
	}
	return message, fds, nil
}

// hear reads one message. The end of the connection is io.EOF.
func hear(conn *net.UnixConn) (string, error) {
	message := make([]byte, longestSaid)
	n, err := conn.Read(message)
	if errors.Is(err, unix.ECONNRESET) {
		// The other side has closed and left something unread. What it said before
		// comes after this.
		n, err = conn.Read(message)
	}
	return string(message[:n]), err
}

// peer returns who made the other end of conn, as the kernel says. See SO_PEERCRED in
// unix(7).
func peer(conn *net.UnixConn) (ucred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		ucred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return ucred, errors.Join(controlErr, os.NewSyscallError("getsockopt SO_PEERCRED", err))
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
