package drbd

import (
	"time"

	"github.com/takt-ha/takt/volume"
)

// Words for options that are ignored in several sections.
const (
	kernelOnly   = "it tunes the kernel's DRBD; Takt has no such knob"
	alwaysOn     = "Takt always does it"
	noWaiting    = "\"takt volume up\" does not wait for peers; in a cluster the cluster waits"
	replacedHash = "Takt chooses the hash itself"
)

var fencing = choice("fencing, which is about the handler fence-peer; in a cluster its record of up-to-date replicas decides, and requests always wait for that", func(c *volume.Config) *string { return &c.Fence }, "dont-care", "resource-only", "resource-and-stonith")

// rules are the options of each section.
var rules = map[string]map[string]rule{
	"global": {
		"minor-count": harmless(kernelOnly), "dialog-refresh": harmless("there are no dialogs"), "disable-ip-verification": harmless("addresses are checked when they are used"),
		"usage-count": harmless("Takt counts nobody"), "cmd-timeout-short": harmless(kernelOnly), "cmd-timeout-medium": harmless(kernelOnly), "cmd-timeout-long": harmless(kernelOnly),
		"udev-always-use-vnr": harmless("links are made by name"), "udev-always-symlink-vnr": harmless("links are made by name"), "disable_io_hints": harmless(kernelOnly),
	},
	"resource": {
		"protocol":       protocol("protocol"),
		"incon-degr-cmd": takes("handlers.pri-on-incon-degr", hookOf("pri-on-incon-degr")),
		"minor-count":    harmless(kernelOnly), "disk-size": sizes("size", 1<<10, func(c *volume.Config) *int64 { return &c.Size }),
		"template-file": ignored("templates are not read: write the options here"), "cpu-mask": harmless(kernelOnly),
	},
	"net": net, "disk": disk, "syncer": syncer, "startup": startup, "options": optionsOf,
}

var net = map[string]rule{
	"protocol":            protocol("protocol"),
	"timeout":             times("net.timeout", tenth, func(c *volume.Config) *time.Duration { return &c.Net.Timeout }),
	"ping-timeout":        times("net.ping-timeout, which is kept; the answer to a ping may take as long as net.timeout", tenth, func(c *volume.Config) *time.Duration { return &c.Net.PingTimeout }),
	"ping-int":            times("net.ping-int", time.Second, func(c *volume.Config) *time.Duration { return &c.Net.PingInterval }),
	"connect-int":         times("net.connect-int", time.Second, func(c *volume.Config) *time.Duration { return &c.Net.ConnectInterval }),
	"shared-secret":       text("secret; the connection is encrypted with it, too", func(c *volume.Config) *string { return &c.Net.Secret }),
	"cram-hmac-alg":       harmless("nodes prove by TLS 1.3 that they know the secret"),
	"tls":                 harmless("with a secret the connection is always encrypted by TLS 1.3"),
	"allow-two-primaries": flags("net.allow-two-primaries", func(d *draft, v bool) { d.cfg.Net.AllowTwoPrimary = v }),
	"after-sb-0pri": choice("net.after-sb-0pri", func(c *volume.Config) *string { return &c.Split.Zero }, "disconnect", "discard-younger-primary", "discard-older-primary",
		"discard-zero-changes", "discard-least-changes", "discard-local", "discard-remote"),
	"after-sb-1pri":   choice("net.after-sb-1pri", func(c *volume.Config) *string { return &c.Split.One }, "disconnect", "consensus", "discard-secondary", "call-pri-lost-after-sb", "violently-as0p"),
	"after-sb-2pri":   choice("net.after-sb-2pri", func(c *volume.Config) *string { return &c.Split.Two }, "disconnect", "call-pri-lost-after-sb", "violently-as0p"),
	"on-congestion":   choice("net.on-congestion", func(c *volume.Config) *string { return &c.Net.OnCongestion }, "block", "pull-ahead", "disconnect"),
	"congestion-fill": sizes("net.congestion-fill", sector, func(c *volume.Config) *int64 { return &c.Net.CongestionFill }),
	"sndbuf-size": one("net.sndbuf-size", func(d *draft, v string) error {
		n, err := number(v, 1)
		d.cfg.Net.SendBuffer = int(min(n, 1<<30))
		return err
	}),
	"csums-alg":  takes("sync.checksum; "+replacedHash, checksums),
	"fencing":    fencing,
	"verify-alg": harmless(replacedHash), "data-integrity-alg": harmless("every block has a checksum on the wire"), "use-rle": harmless(alwaysOn),
	"rcvbuf-size": harmless(kernelOnly), "max-buffers": harmless(kernelOnly), "max-epoch-size": harmless(kernelOnly), "unplug-watermark": harmless(kernelOnly),
	"tcp-cork": harmless(kernelOnly), "no-tcp-cork": harmless(kernelOnly), "socket-check-timeout": harmless("the peer must answer within timeout"), "csums-after-crash-only": harmless(kernelOnly),
	"sock-check-timeo": harmless("the peer must answer within timeout"), "transport": harmless("the transport is TCP"), "load-balance-paths": ignored("there is one path to a peer: bond the links"), "tls-keyring": harmless("the key is made of the shared secret"), "tls-privkey": harmless("the key is made of the shared secret"), "tls-certificate": harmless("the key is made of the shared secret"),
	"rdma-ctrl-rcvbuf-size": harmless(kernelOnly), "rdma-ctrl-sndbuf-size": harmless(kernelOnly), "ko-count": koCount(),
	"congestion-extents": ignored("only congestion-fill says when a link is congested"), "always-asbp": harmless("after-sb-* counts whenever histories have diverged"),
	"rr-conflict": ignored("a primary whose data would have to be replaced is never overwritten: it disconnects"), "allow-remote-read": harmless("a replica without good data reads at its peers"),
	"protocol-version": harmless(kernelOnly),
}

var disk = map[string]rule{
	"on-io-error":     choice("disk.on-io-error", func(c *volume.Config) *string { return &c.Disk.OnIOError }, "detach", "pass_on", "call-local-io-error"),
	"fencing":         fencing,
	"size":            sizes("size", sector, func(c *volume.Config) *int64 { return &c.Size }),
	"disk-flushes":    flags("disk.disk-flushes", func(d *draft, v bool) { d.noFl = !v }),
	"no-disk-flushes": flags("disk.disk-flushes = false", func(d *draft, v bool) { d.noFl = v }),
	"disk-barrier":    harmless("Takt flushes; it does not use barriers"), "no-disk-barrier": harmless("Takt flushes; it does not use barriers"),
	"disk-drain": harmless("writes that depend on one another are always kept in order"), "no-disk-drain": harmless("writes that depend on one another are always kept in order"),
	"md-flushes": harmless("metadata is always flushed"), "no-md-flushes": ignored("metadata is always flushed, for what it costs"),
	"al-updates": ignored("the activity log is always written: without it a crash would cost a full resync"), "no-al-updates": ignored("the activity log is always written: without it a crash would cost a full resync"),
	"al-extents": extents(), "resync-rate": sizes("sync.resync-rate", 1<<10, func(c *volume.Config) *int64 { return &c.Sync.Rate }), "resync-after": after(),
	"c-plan-ahead": plan(), "c-delay-target": times("sync.c-delay-target", tenth, func(c *volume.Config) *time.Duration { return &c.Sync.Delay }),
	"c-fill-target": sizes("sync.c-fill-target", sector, func(c *volume.Config) *int64 { return &c.Sync.FillTarget }),
	"c-max-rate":    sizes("sync.c-max-rate", 1<<10, func(c *volume.Config) *int64 { return &c.Sync.MaxRate }),
	"c-min-rate":    minRate(),
	"disk-timeout":  ignored("a disk that hangs is not detached after a time; net.ko-count lets a primary go on without a peer whose disk hangs"), "read-balancing": harmless("reads are local"), "max-bio-bvecs": harmless(kernelOnly), "use-bmbv": harmless(kernelOnly),
	"discard-zeroes-if-aligned": harmless("trimmed blocks always read as zeroes"), "rs-discard-granularity": harmless("zeroes are never sent as data"), "disable-write-same": harmless(kernelOnly),
	"discard-granularity": harmless(kernelOnly), "bitmap": harmless("Takt keeps a bitmap for each peer"), "bitmap-block-size": harmless("a bit stands for 4 KiB"),
}

var syncer = map[string]rule{
	"rate": rate(), "after": after(), "al-extents": extents(), "csums-alg": takes("sync.checksum; "+replacedHash, checksums),
	"c-plan-ahead": plan(), "c-delay-target": disk["c-delay-target"], "c-fill-target": disk["c-fill-target"], "c-max-rate": disk["c-max-rate"], "c-min-rate": disk["c-min-rate"],
	"verify-alg": harmless(replacedHash), "use-rle": harmless(alwaysOn), "cpu-mask": harmless(kernelOnly), "delay-probe-volume": harmless(kernelOnly), "delay-probe-interval": harmless(kernelOnly),
	"throttle-threshold": harmless(kernelOnly), "hold-off-threshold": harmless(kernelOnly),
	"group":                 ignored("volumes are resynced in groups no more; say \"after RESOURCE\" where the order matters"),
	"skip-sync":             ignored("for two fresh disks there is \"takt volume new-current-uuid --clear-bitmap\""),
	"on-no-data-accessible": optionsOf["on-no-data-accessible"],
}

var startup = map[string]rule{
	"wfc-timeout": harmless(noWaiting), "degr-wfc-timeout": harmless(noWaiting), "outdated-wfc-timeout": harmless(noWaiting), "wait-after-sb": harmless(noWaiting), "stacked-timeouts": harmless(noWaiting),
	"become-primary-on": ignored("nobody becomes primary at boot by itself: the cluster promotes, or \"takt volume primary\""),
}

var optionsOf = map[string]rule{
	"quorum": quorum(), "on-no-quorum": choice("on-no-quorum", func(c *volume.Config) *string { return &c.Quorum.Without }, "suspend-io", "io-error"),
	"on-no-data-accessible": ignored("requests wait while there is no good data in reach, and go on when there is"),
	"auto-promote":          ignored("a volume is made primary by \"takt volume primary\" or by the cluster, not by opening it"),
	"auto-promote-timeout":  harmless("there is no automatic promotion"), "cpu-mask": harmless(kernelOnly), "peer-ack-window": harmless(kernelOnly), "peer-ack-delay": harmless(kernelOnly),
	"twopc-timeout": harmless(kernelOnly), "twopc-retry-timeout": harmless(kernelOnly), "max-io-depth": harmless(kernelOnly), "drbd8-compat-mode": harmless(kernelOnly), "load-balance-paths": ignored("there is one path to a peer: bond the links"),
	"quorum-minimum-redundancy": ignored("quorum counts replicas in contact alone"), "on-suspended-primary-outdated": ignored("a primary that is outdated while it is suspended stays suspended until a person decides"),
	"node-id": harmless("the number is taken from the host's section"),
}

func checksums(d *draft, s *Statement) error {
	d.cfg.Sync.Checksum = s.Arg(0) != "" && s.Arg(0) != "none"
	return nil
}
