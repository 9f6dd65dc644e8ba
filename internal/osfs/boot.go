package osfs

import (
	"os"
	"strings"
)

// Boot returns the kernel's name of this boot of the machine (boot_id, proc_sys_kernel(5)), which no other boot has.
func Boot() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
