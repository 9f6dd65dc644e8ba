// Package program runs the programs that a director's configuration names: checks, tracked scripts, notify programs. They run without
// a shell, as the user that the configuration names, and end with all that they have started.
package program

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/command"
)

// DefaultUser runs programs whose command names nobody, where that user exists.
const DefaultUser = "keepalived_script"

// Spec is how a command runs: arguments appended, at most so long, as the right user. With Global.ScriptSafety a program that runs as root and that
// somebody else could change is refused.
func Spec(g *director.Global, c director.Command, timeout time.Duration, args ...string) (command.Spec, error) {
	if c.None() {
		return command.Spec{}, errors.New("there is no program to run")
	}
	s := command.Spec{Path: c.Args[0], Args: append(append([]string(nil), c.Args[1:]...), args...), Timeout: timeout, Limit: 4 << 10,
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	who := c.User
	if who == "" {
		who = g.ScriptUser
	}
	var err error
	if s.Credential, err = credential(who); err != nil {
		return s, fmt.Errorf("%s: %w", c.Args[0], err)
	}
	if g.ScriptSafety && (s.Credential == nil && os.Geteuid() == 0 || s.Credential != nil && s.Credential.Uid == 0) {
		if err := safe(c.Args[0]); err != nil {
			return s, err
		}
	}
	return s, nil
}

// credential is nil for ourselves.
func credential(who string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil // nobody else to become
	}
	if who == "" {
		switch _, err := user.Lookup(DefaultUser); {
		case Starved(err): // not known: it must not run as root for that
			return nil, fmt.Errorf("run as %s: %w", DefaultUser, err)
		case err != nil:
			return nil, nil
		}
		who = DefaultUser
	}
	name, group, _ := strings.Cut(who, ":")
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("run as %s: %w", name, err)
	}
	gid := u.Gid
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("run as group %s: %w", group, err)
		}
		gid = g.Gid
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	id, err2 := strconv.ParseUint(gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(id)}, nil
}

// safe says whether nobody but root can change what a path leads to.
func safe(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for p := real; ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && (st.Uid != 0 || info.Mode().Perm()&0o022 != 0 && (info.Mode()&os.ModeSticky == 0 || p == real)) {
			return fmt.Errorf("%s is not run as root: others than root may change %s (enable_script_security)", path, p)
		}
		if p == "/" {
			return nil
		}
	}
}
