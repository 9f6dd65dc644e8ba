package netif

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// JoinHardware makes a link take frames to a hardware multicast address, until LeaveHardware: it outlives the process
// (ip-maddress(8)). An address that it takes already is no error.
func JoinHardware(link Link, mac net.HardwareAddr) error {
	err := hardware(link, mac, unix.SIOCADDMULTI)
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take frames to %s on %s: %w", mac, link.Name, err)
	}
	return nil
}

// LeaveHardware undoes JoinHardware; one that was never joined is no error.
func LeaveHardware(link Link, mac net.HardwareAddr) error {
	err := hardware(link, mac, unix.SIOCDELMULTI)
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("take no more frames to %s on %s: %w", mac, link.Name, err)
	}
	return nil
}

// HardwareJoined says whether JoinHardware is in force.
func HardwareJoined(link Link, mac net.HardwareAddr) (bool, error) {
	data, err := os.ReadFile("/proc/thread-self/net/dev_mcast")
	if err != nil {
		return false, err
	}
	for line := range bytes.Lines(data) { // index, name, users, global users, address
		f := strings.Fields(string(line))
		if len(f) == 5 && f[0] == strconv.Itoa(link.Index) && f[3] != "0" && f[4] == hex.EncodeToString(mac) {
			return true, nil
		}
	}
	return false, nil
}

// ifreq is struct ifreq of netdevice(7) with a hardware address.
type ifreq struct {
	name   [unix.IFNAMSIZ]byte
	family uint16
	data   [22]byte
}

func hardware(link Link, mac net.HardwareAddr, request uintptr) error {
	if len(mac) != 6 {
		return fmt.Errorf("%q is no Ethernet address", mac)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var r ifreq
	copy(r.name[:unix.IFNAMSIZ-1], link.Name)
	copy(r.data[:], mac)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&r))); e != 0 {
		return e
	}
	return nil
}
