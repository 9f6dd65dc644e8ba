package native

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/agent"
)

func filesystemMetadata() *agent.Metadata {
	list := actions()
	for i := range list[:2] {
		list[i].Timeout = 60 * time.Second
	}
	return &agent.Metadata{
		Name: "Filesystem", Version: "1.0", API: "1.1", ShortDesc: "a mounted file system",
		LongDesc: "Mounts a device on a folder by mount(2). Runs in a process of its own, so that a dead device or server ends with the operation's time-out.",
		Parameters: []agent.Parameter{
			{Name: "device", Type: "string", Required: true, ShortDesc: "block device, LABEL=…, UUID=…, or what the type calls its source"},
			{Name: "directory", Type: "string", Required: true, Unique: true, ShortDesc: "the folder to mount on", LongDesc: "It is made if it does not exist."},
			{Name: "fstype", Type: "string", Required: true, ShortDesc: "type, as in ext4, xfs, tmpfs; none with the option bind"},
			{Name: "options", Type: "string", ShortDesc: "mount options, separated by commas"},
			{Name: "force_unmount", Type: "select", Default: "true", Options: []string{"true", "safe", "false", "yes", "no", "1", "0", "lazy"}, ShortDesc: "what to do at stop with processes that use the file system", LongDesc: "true: end those that use this mount. safe: the same, looking at working folder, root and open files alone, not at mapped files. lazy: as true, and if it is still busy detach it, which lets users of it go on unseen. false: fail."},
			{Name: "term_signals", Type: "string", Default: "TERM", ShortDesc: "signals to ask with, separated by blanks"},
			{Name: "kill_signals", Type: "string", Default: "KILL", ShortDesc: "signals to end with, separated by blanks"},
			{Name: "signal_delay", Type: "integer", Default: "1", ShortDesc: "seconds between two signals"},
			{Name: "fast_stop", Type: "boolean", Default: "true", ShortDesc: "accepted without effect"},
			{Name: "force_clones", Type: "boolean", Default: "false", ShortDesc: "accepted without effect"},
			{Name: "run_fsck", Type: "select", Default: "auto", Options: []string{"auto", "no", "force"}, ShortDesc: "auto and no: no check before mounting; force is refused"},
			{Name: "statusfile_prefix", Type: "string", ShortDesc: "accepted without effect"},
		},
		Actions: list,
	}
}

// mounting is one Filesystem resource with its parameters read.
type mounting struct {
	device, directory, fstype string
	flags                     uintptr
	data                      string
	force                     string // true, safe, lazy or false
	term, kill                []syscall.Signal
	delay                     time.Duration
}

// filesystem mounts and unmounts.
func (s *Set) filesystem() kind {
	meta := filesystemMetadata()
	return kind{
		meta: meta, isolated: true,
		validate: func(inv agent.Invocation) error { _, err := readVolume(meta, inv); return err },
		run: func(ctx context.Context, inv agent.Invocation) error {
			v, err := readVolume(meta, inv)
			if err != nil {
				return err
			}
			switch inv.Action {
			case agent.Start:
				return v.start()
			case agent.Stop:
				return v.stop(ctx)
			}
			return v.monitor()
		},
		watch: watchMount,
	}
}

func readVolume(meta *agent.Metadata, inv agent.Invocation) (*mounting, error) {
	get := func(name string) string { return param(meta, inv, name) }
	v := &mounting{device: get("device"), directory: filepath.Clean(get("directory")), fstype: get("fstype"), force: get("force_unmount"), delay: time.Second}
	if !filepath.IsAbs(v.directory) || v.directory == "/" {
		return nil, fail(agent.ErrConfigured, "parameter directory=%q: want an absolute path other than /", get("directory"))
	}
	// The kernel shows mounts by their real path.
	if real, err := filepath.EvalSymlinks(v.directory); err == nil {
		v.directory = real
	}
	switch v.force {
	case "yes", "1":
		v.force = "true"
	case "no", "0":
		v.force = "false"
	}
	v.flags, v.data = parseOptions(get("options"))
	if name, value, ok := strings.Cut(v.device, "="); ok && !strings.Contains(v.device, "/") {
		folder := map[string]string{"LABEL": "by-label", "UUID": "by-uuid", "PARTLABEL": "by-partlabel", "PARTUUID": "by-partuuid"}[name]
		if folder != "" {
			v.device = filepath.Join("/dev/disk", folder, strings.Trim(value, `"`))
		}
	}
	if inv.Action == agent.Stop || inv.Action == agent.Monitor {
		v.term, v.kill = []syscall.Signal{syscall.SIGTERM}, []syscall.Signal{syscall.SIGKILL}
	}
	if get("run_fsck") == "force" && inv.Action != agent.Stop && inv.Action != agent.Monitor {
		return nil, fail(agent.ErrConfigured, "parameter run_fsck=force: the native Filesystem checks nothing before it mounts; use ocf:heartbeat:Filesystem of the package resource-agents")
	}
	return v, v.readSignals(get, inv.Action)
}

func (v *mounting) readSignals(get func(string) string, action string) error {
	for name, list := range map[string]*[]syscall.Signal{"term_signals": &v.term, "kill_signals": &v.kill} {
		var signals []syscall.Signal
		for _, word := range strings.Fields(get(name)) {
			sig := unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(word), "SIG"))
			if sig == 0 && action != agent.Stop && action != agent.Monitor {
				return fail(agent.ErrConfigured, "parameter %s: there is no signal %q", name, word)
			}
			if sig != 0 {
				signals = append(signals, sig)
			}
		}
		if len(signals) > 0 {
			*list = signals
		}
	}
	if d, err := agent.ParseDuration(get("signal_delay")); err == nil {
		v.delay = d
	}
	return nil
}

// mountFlags are the options of mount(8) that are flags of mount(2); a no
// before a name that is not listed clears it.
var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC, "sync": unix.MS_SYNCHRONOUS,
	"dirsync": unix.MS_DIRSYNC, "mand": unix.MS_MANDLOCK, "noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME,
	"relatime": unix.MS_RELATIME, "strictatime": unix.MS_STRICTATIME, "lazytime": unix.MS_LAZYTIME, "silent": unix.MS_SILENT,
	"bind": unix.MS_BIND, "rbind": unix.MS_BIND | unix.MS_REC,
}

var clearFlags = map[string]uintptr{
	"rw": unix.MS_RDONLY, "suid": unix.MS_NOSUID, "dev": unix.MS_NODEV, "exec": unix.MS_NOEXEC, "async": unix.MS_SYNCHRONOUS,
	"nomand": unix.MS_MANDLOCK, "atime": unix.MS_NOATIME, "diratime": unix.MS_NODIRATIME, "norelatime": unix.MS_RELATIME,
	"nostrictatime": unix.MS_STRICTATIME, "nolazytime": unix.MS_LAZYTIME, "loud": unix.MS_SILENT,
}

// parseOptions splits an option string into flags and the rest, which the file
// system itself reads. What is for mount(8) and fstab(5) alone is dropped.
func parseOptions(options string) (flags uintptr, data string) {
	var rest []string
	for _, o := range strings.Split(options, ",") {
		o = strings.TrimSpace(o)
		switch {
		case o == "" || o == "defaults" || o == "auto" || o == "noauto" || o == "_netdev" || o == "nofail" || o == "nouser" || strings.HasPrefix(o, "x-"):
		case mountFlags[o] != 0:
			flags |= mountFlags[o]
		case clearFlags[o] != 0:
			flags &^= clearFlags[o]
		default:
			rest = append(rest, o)
		}
	}
	return flags, strings.Join(rest, ",")
}

// start mounts. The right device on the folder already is success, another
// one an error: mounting over it would hide it.
func (v *mounting) start() error {
	switch m, err := v.mounted(); {
	case err != nil:
		return err
	case m != nil:
		return v.judge(m)
	}
	if err := os.MkdirAll(v.directory, 0o755); err != nil {
		return fmt.Errorf("make the folder to mount on: %w", err)
	}
	if strings.HasPrefix(v.device, "/") {
		if _, err := os.Stat(v.device); err != nil {
			return fail(agent.ErrInstalled, "parameter device: %s is not there on this node", v.device)
		}
	}
	fstype := v.fstype
	if v.flags&unix.MS_BIND != 0 {
		fstype = ""
	}
	if err := unix.Mount(v.device, v.directory, fstype, v.flags, v.data); err != nil {
		return v.explain(err)
	}
	// A bind mount takes its other flags only by a second step (mount(2)).
	if extra := v.flags &^ (unix.MS_BIND | unix.MS_REC); v.flags&unix.MS_BIND != 0 && extra != 0 {
		if err := unix.Mount("", v.directory, "", v.flags|unix.MS_REMOUNT, ""); err != nil {
			unix.Unmount(v.directory, 0) //nolint:errcheck // the first error counts
			return v.explain(err)
		}
	}
	return v.monitor()
}

func (v *mounting) explain(err error) error {
	code, hint := agent.ErrGeneric, "see the kernel's log"
	switch err {
	case unix.ENODEV:
		code, hint = agent.ErrInstalled, "the kernel of this node does not know the type "+v.fstype
	case unix.EPERM, unix.EACCES:
		code, hint = agent.ErrPerm, "mounting needs CAP_SYS_ADMIN, and the device may be read-only"
	case unix.EINVAL:
		hint = "wrong type, damaged superblock, or an option that " + v.fstype + " does not know"
	case unix.EBUSY:
		hint = "the device is in use, or mounted elsewhere exclusively"
	}
	return fail(code, "mount %s on %s: %v (%s)", v.device, v.directory, err, hint)
}

func (v *mounting) monitor() error {
	m, err := v.mounted()
	switch {
	case err != nil:
		return err
	case m == nil:
		return errNotRunning
	}
	if err := v.judge(m); err != nil {
		return err
	}
	// A file system that had an error may have made itself read-only.
	if v.flags&unix.MS_RDONLY == 0 && slices.Contains(strings.Split(m.options+","+m.super, ","), "ro") {
		return fail(agent.ErrGeneric, "%s on %s has become read-only; the kernel's log says why", v.device, v.directory)
	}
	return nil
}

// judge says whether a mount on our folder is ours.
func (v *mounting) judge(m *mount) error {
	if v.flags&unix.MS_BIND != 0 {
		var a, b unix.Stat_t
		if unix.Stat(v.device, &a) == nil && unix.Stat(v.directory, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino {
			return nil
		}
		return fail(agent.ErrGeneric, "%s is a mount of something else than %s", v.directory, v.device)
	}
	if m.source == v.device {
		return nil
	}
	var st unix.Stat_t
	if unix.Stat(v.device, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)) == m.device {
		return nil
	}
	if a, err := filepath.EvalSymlinks(v.device); err == nil && a == m.source {
		return nil
	}
	return fail(agent.ErrGeneric, "%s has %s mounted, not %s", v.directory, m.source, v.device)
}
