package lab

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/takt-ha/takt/internal/errs"
)

// namespaceFlags are what every node lives in.
const nodeNamespaces = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS |
	syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// Supported returns nil if namespaces can be made here, else an error that says
// in one line why not and what would change that. It leaves nothing behind: it
// clones a child into fresh namespaces that lets its right to chroot be checked
// and then fails to execute a file that does not exist.
func Supported() error {
	attr := &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags:  nodeNamespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Chroot:      "/",
	}}
	_, err := syscall.ForkExec("/proc/self/nothing-to-execute", []string{"check"}, attr)
	if err == nil || errors.Is(err, syscall.ENOENT) {
		return nil
	}
	return errs.E("make namespaces", errs.Permission, "", namespaceHint(err), fmt.Errorf("the kernel refuses: %w", err))
}

func namespaceHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EUSERS):
		return "Raise the sysctls user.max_user_namespaces and user.max_net_namespaces."
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOSYS):
		return "This kernel lacks user namespaces (CONFIG_USER_NS)."
	case os.Getuid() == 0:
		return "A container forbids it: run it with more privileges (for example docker run --privileged)."
	}
	return "Allow it to users with sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0, or run as root."
}
