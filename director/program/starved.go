package program

import (
	"errors"
	"slices"
	"syscall"
)

// lacks are what the kernel says when this machine, or this process, is at its limits.
var lacks = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EAGAIN}

// Starved reports whether something could not even be begun, because this machine has no descriptor, memory or process left for it (errno(3)). That
// says nothing about what was to be asked: nobody is to be blamed for it.
func Starved(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains(lacks, errno)
}
