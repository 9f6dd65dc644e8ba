package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The round trip is that of two processes that do nothing else, with blocking system
// calls: the least that an answer from another process over TCP takes here.

// echo answers each message on a loopback connection with one byte; it tells its port on w.
func echo(w io.Writer) error {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Bind(ln, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(ln, 1)); err != nil {
		return err
	}
	at, err := unix.Getsockname(ln)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, at.(*unix.SockaddrInet4).Port)
	fd, _, err := unix.Accept(ln)
	if err != nil {
		return err
	}
	return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), pingPong(fd, -1))
}

// pingPong reads a byte and sends one, n times or until the other end goes.
func pingPong(fd, n int) error {
	b := []byte{0}
	for ; n != 0; n-- {
		if k, err := unix.Read(fd, b); err != nil || k == 0 {
			return err
		}
		if _, err := unix.Write(fd, b); err != nil {
			return err
		}
	}
	return nil
}

// roundTrip measures the median of many round trips, in µs.
func roundTrip() (float64, error) {
	cmd := exec.Command("/proc/self/exe", "echo") // a path may be gone after a chroot
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait() // ends when the connection does
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, err
	}
	return ping(port)
}

func ping(port int) (float64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return 0, err
	}
	var took []float64
	for b := []byte{0}; len(took) < 20000; {
		start := time.Now()
		if _, err := unix.Write(fd, b); err != nil {
			return 0, err
		}
		if _, err := unix.Read(fd, b); err != nil {
			return 0, err
		}
		took = append(took, float64(time.Since(start).Nanoseconds())/1000)
	}
	return median(took), nil
}
