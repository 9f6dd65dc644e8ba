package lab

import (
	"fmt"
	"os"

	"github.com/takt-ha/takt/internal/errs"
)

// Hidden runs one of the commands that a laboratory re-executes its binary with:
// args is what follows `takt lab` ("supervisor CONFIG" or "node-init"). It
// returns only if that fails, or at once with false if args is neither.
func Hidden(args []string) (bool, error) {
	switch {
	case len(args) == 2 && args[0] == "supervisor":
		return true, reported(supervise(args[1]))
	case len(args) == 1 && args[0] == "node-init":
		return true, reported(nodeInit())
	}
	return false, nil
}

// reported logs an error where the process's log goes.
func reported(err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintln(os.Stderr, "takt lab:", err)
	return errs.E("run laboratory", errs.Other, "", "", err)
}
