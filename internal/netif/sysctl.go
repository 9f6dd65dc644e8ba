package netif

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sysctl reads a number of the kernel's configuration, such as net/ipv4/conf/eth0/arp_ignore: with slashes, for an
// interface's name may have dots. Where there is none, the error is fs.ErrNotExist.
func Sysctl(key string) (int, error) {
	path := filepath.Join("/proc/sys", key)
	data, err := os.ReadFile(path) //nolint:gosec // the keys are ours
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("%s: %q is no number", path, data)
	}
	return n, nil
}

// SetSysctl writes one.
func SetSysctl(key string, value int) error {
	return os.WriteFile(filepath.Join("/proc/sys", key), []byte(strconv.Itoa(value)), 0) //nolint:gosec // it is there, or an error
}
