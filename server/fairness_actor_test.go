package server

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"credrpc/internal/sys"

	"golang.org/x/sys/unix"
)

// actRepeat makes N calls to PATH as UID, one after the other, and prints how many
// were answered.
func actRepeat(args []string) error {
	if err := become(args[1], args[1]); err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	answered := 0
	for range n {
		c, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		c.SetDeadline(time.Now().Add(patience))
		c.Write(request([]byte("x")))
		if answer, err := response(c); err == nil && string(answer) == "x" {
			answered++
		}
		c.Close()
	}
	fmt.Println(answered, "answered")
	return nil
}

// actUnread makes N calls to PATH as UID and reads no answer. When every call has
// ended or is answered it prints how many bytes lie in the kernel for it, then
// reads all answers at a line of its standard input, and prints how many are whole.
func actUnread(args []string) error {
	if err := become(args[1], args[1]); err != nil {
		return err
	}
	n, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	conns := make([]*net.UnixConn, n)
	held := 0
	for i := range conns {
		c, err := net.Dial("unix", args[0])
		if err != nil {
			return err
		}
		conns[i] = c.(*net.UnixConn)
		conns[i].SetDeadline(time.Now().Add(patience))
		conns[i].Write(request([]byte("large")))
		file, err := conns[i].File()
		if err != nil {
			return err
		}
		fd := int(file.Fd())
		// The answer is there when the server has shut down its side.
		for begin := time.Now(); ; {
			if events, _ := sys.Poll(fd, unix.POLLRDHUP, 1000); events != 0 {
				break
			}
			if time.Since(begin) > patience { // not just a signal
				return fmt.Errorf("call %d: no answer", i)
			}
		}
		here, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
		if err != nil {
			return err
		}
		held += here
		file.Close()
	}
	fmt.Println(held)
	bufio.NewReader(os.Stdin).ReadString('\n')
	whole := 0
	for _, c := range conns {
		if _, err := response(c); err == nil {
			whole++
		}
		c.Close()
	}
	fmt.Println(whole)
	return nil
}
