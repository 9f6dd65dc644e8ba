package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/internal/errs"
)

// owned gives a socket the owner and mode of "user:group:mode"; empty: root alone.
func owned(path, mode string) error {
	if mode == "" {
		return os.Chmod(path, 0o600)
	}
	wrong := func(err error) error {
		return errs.E("give "+path+" its owner", errs.Invalid, "mode = \""+mode+"\"", "Want USER:GROUP:MODE, as in root:disk:0660.", err)
	}
	parts := strings.Split(mode, ":")
	if len(parts) != 3 {
		return wrong(errors.New("it has not three parts"))
	}
	bits, err := strconv.ParseUint(parts[2], 8, 9)
	if err != nil {
		return wrong(fmt.Errorf("%q is no octal mode", parts[2]))
	}
	u, err := user.Lookup(parts[0])
	if err != nil {
		return wrong(err)
	}
	g, err := user.LookupGroup(parts[1])
	if err != nil {
		return wrong(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // of the user database: a number
	gid, _ := strconv.Atoi(g.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		return wrong(err)
	}
	return os.Chmod(path, os.FileMode(bits))
}
