package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
	"github.com/takt-ha/takt/volume/control"
)

// verb is a command that asks the volume's process to do something.
type verb struct {
	short, long string
	example     string
	peer        bool // takes a peer after the name; without one it is for all of them
	all         bool // takes several names, and "all"
	flags       func(*cobra.Command, *control.Ask) func() error
	wait        *awaiting
}

var verbs = map[string]verb{
	"down": {
		short: "Take a volume down: its process ends", all: true, flags: forceFlag("although it is in use here: what its users have not flushed is lost"),
		long: "Makes it secondary, disconnects, closes the disk, and ends the process. A volume that is in use here is left alone.\n" +
			"\"all\" passes over those that are down.",
		example: "  takt volume down r0\n  takt volume down all",
	},
	"adjust": {
		short: "Take over what was changed in the volume's file", all: true,
		long: "Reads the file anew. What may change while the volume is in use counts at once: time-outs, rates,\n" +
			"policies, handlers, quorum, protocols. For the rest it says what is to be done. What is wrong in the\n" +
			"file is said, and nothing is changed.",
		example: "  takt volume adjust r0\n  takt volume adjust all",
	},
	"attach": {short: "Take the disk into use", all: true, example: "  takt volume attach r0"},
	"detach": {
		short: "Let go of the disk; go on through the peers", all: true, flags: forceFlag("although nobody else has good data: requests fail or wait from then on"),
		example: "  takt volume detach r0",
	},
	"connect": {
		short: "Connect to peers", peer: true, all: true, flags: connectFlags, wait: &awaiting{until: inStep},
		long: "After a split brain the two nodes are StandAlone. On the node whose changes are to be given up:\n" +
			"takt volume connect --discard-my-data. On the other: takt volume connect.",
		example: "  takt volume connect r0\n  takt volume connect r0 beta --wait\n  takt volume connect r0 --discard-my-data",
	},
	"disconnect": {
		short: "Disconnect from peers, until they are connected again", peer: true, all: true, flags: forceFlag("although this node reads and writes at that peer"),
		example: "  takt volume disconnect r0\n  takt volume disconnect r0 beta",
	},
	"primary": {
		short: "Make this node the one that reads and writes", all: true, flags: forceFlag("although this disk may not have the newest data; of a new volume: the data here counts"),
		long:    "Refused while another node is primary, or newer data is elsewhere; it says which and why.",
		example: "  takt volume primary r0\n  takt volume primary --force r0   # a new volume, once",
	},
	"secondary": {
		short: "Stop reading and writing here", all: true, flags: forceFlag("although it is in use here: open requests fail"),
		example: "  takt volume secondary r0",
	},
	"verify": {
		short: "Compare the data with the peers', while everything goes on", peer: true, all: true, flags: verifyFlags, wait: &awaiting{until: verified, end: "no difference was found"},
		long: "Compares hashes block by block. Blocks that differ are marked and counted, no data is changed;\n" +
			"\"disconnect\" and \"connect\" copy them. With --wait the command fails if there are any, and if\n" +
			"the verify is ended before its end: by a lost connection, a promotion, a disk that fails.",
		example: "  takt volume verify r0\n  takt volume verify r0 beta --wait\n  takt volume verify r0 --start 1G --stop 2G",
	},
	"invalidate": {
		short: "Call the data here wrong: all of it is fetched from a peer", wait: &awaiting{until: upToDate},
		example: "  takt volume invalidate r0\n  takt volume invalidate r0 --wait",
	},
	"invalidate-remote": {
		short: "Call a peer's data wrong: all of it is sent anew", peer: true, wait: &awaiting{until: peersUpToDate, soon: 3 * time.Second},
		example: "  takt volume invalidate-remote r0 beta --wait",
	},
	"resize": {
		short: "Grow a volume, on all nodes, while it is in use", flags: resizeFlags, wait: &awaiting{until: inStep},
		long:    "Grow the disks on all nodes first; a backing file grows by itself. The new part is resynced.",
		example: "  takt volume resize r0\n  takt volume resize r0 --size 20G --wait",
	},
	"pause-sync":  {short: "Pause a resync", peer: true, all: true, example: "  takt volume pause-sync r0"},
	"resume-sync": {short: "Go on with a resync", peer: true, all: true, wait: &awaiting{until: inStep}, example: "  takt volume resume-sync r0 --wait"},
	"outdate":     {short: "Call the data here old, so that it cannot become primary", all: true, example: "  takt volume outdate r0"},
	"new-current-uuid": {
		short: "Begin a new generation of the data", flags: clearFlag,
		long: "With --clear-bitmap two fresh disks, or one that was carried over, count as equal: there is no first\n" +
			"resync. Run it on one node, while they are connected.",
		example: "  takt volume new-current-uuid r0 --clear-bitmap",
	},
}

// verb makes the command of a verb.
func (v *volumes) verb(name string) *cobra.Command {
	d := verbs[name]
	a := control.Ask{Verb: name}
	prepare := func() error { return nil }
	cmd := &cobra.Command{Use: name + " NAME", Short: d.short, Long: d.long, Example: d.example, Args: oneName, ValidArgsFunction: v.completeVolumes(d.all && !d.peer, d.peer)}
	switch {
	case d.peer && d.all:
		cmd.Use, cmd.Args = name+" NAME|all [PEER]", nameAndPeer
	case d.peer:
		cmd.Use, cmd.Args = name+" NAME [PEER]", nameAndPeer
	case d.all:
		cmd.Use, cmd.Args = name+" NAME...|all", nameArgs(false)
	}
	if d.flags != nil {
		prepare = d.flags(cmd, &a)
	}
	w := d.wait.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := prepare(); err != nil {
			return usage(cmd, err)
		}
		names := args
		if d.peer {
			names, a.Peer = args[:1], ""
			if len(args) > 1 {
				a.Peer = args[1]
			}
		}
		if names[0] == "all" && !d.all {
			return usage(cmd, fmt.Errorf("%s is for one volume at a time: name it", name))
		}
		if d.all {
			var err error
			if names, err = v.chosen(names); err != nil {
				return err
			}
		}
		return each(cmd, names, func(volume string) error {
			err := v.ask(cmd, volume, a, w)
			if name == "down" && args[0] == "all" && errors.Is(err, control.ErrNotUp) {
				return nil // it is down
			}
			return err
		})
	}
	return cmd
}

// ask asks a volume for a verb, prints the answer and, if that is wanted, waits until what it began is done.
func (v *volumes) ask(cmd *cobra.Command, name string, a control.Ask, w *awaiting) error {
	c := v.client(name)
	defer c.Close()
	text, err := c.Ask(cmd.Context(), a)
	if err != nil {
		return v.orUnknown(name, err)
	}
	if text != "" && !v.json() {
		fmt.Fprintln(cmd.OutOrStdout(), cleanLines(text))
	}
	var last *volume.Status
	if w != nil && w.on {
		if last, err = v.await(cmd, c, name, a.Peer, w); err != nil {
			return err
		}
		if w.end != "" && !v.json() {
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", name, w.end)
		}
	}
	if v.json() {
		return printJSON(cmd, asked{Name: name, Verb: a.Verb, Text: text, Status: last})
	}
	return nil
}

// orUnknown says that there is no such volume rather than that it is not up.
func (v *volumes) orUnknown(name string, err error) error {
	if errs.KindOf(err) == errs.Unavailable {
		if _, unknown := v.find(name); errs.KindOf(unknown) == errs.NotFound {
			return unknown
		}
	}
	return err
}

// asked is the answer to a verb for programs.
type asked struct {
	Name   string         `json:"name"`
	Verb   string         `json:"verb"`
	Text   string         `json:"text"`
	Status *volume.Status `json:"status,omitempty"` // with --wait: as it was at the end
}

func fine() error { return nil }

func forceFlag(text string) func(*cobra.Command, *control.Ask) func() error {
	return func(cmd *cobra.Command, a *control.Ask) func() error {
		cmd.Flags().BoolVar(&a.Force, "force", false, text)
		return fine
	}
}

func connectFlags(cmd *cobra.Command, a *control.Ask) func() error {
	cmd.Flags().BoolVar(&a.Discard, "discard-my-data", false, "after a split brain: give up what was written here since")
	return fine
}

func clearFlag(cmd *cobra.Command, a *control.Ask) func() error {
	cmd.Flags().BoolVar(&a.Clear, "clear-bitmap", false, "and call the replicas equal: skips the first resync of two fresh disks")
	return fine
}

func resizeFlags(cmd *cobra.Command, a *control.Ask) func() error {
	size := sizeFlag(cmd, "size", "the new size (default: as large as the smallest disk allows)", &a.Size)
	cmd.Flags().BoolVar(&a.Force, "force", false, "although peers are not connected, or their disk is not attached: they are taken to have room")
	return size
}

func verifyFlags(cmd *cobra.Command, a *control.Ask) func() error {
	start := sizeFlag(cmd, "start", "where to begin, in bytes, as in 1G", &a.Start)
	stop := sizeFlag(cmd, "stop", "where to end (default: at the end)", &a.Stop)
	return func() error {
		if err := start(); err != nil {
			return err
		}
		err := stop()
		if err == nil && (a.Start%volume.BlockSize != 0 || a.Stop%volume.BlockSize != 0) {
			err = fmt.Errorf("--start and --stop: want multiples of %d bytes", volume.BlockSize)
		}
		if err == nil && a.Stop != 0 && a.Stop <= a.Start {
			err = fmt.Errorf("--stop %s: want more than --start", config.FormatSize(a.Stop))
		}
		return err
	}
}

// sizeFlag is a flag with a size; what it returns reads it.
func sizeFlag(cmd *cobra.Command, name, text string, to *int64) func() error {
	var value string
	cmd.Flags().StringVar(&value, name, "", text)
	return func() (err error) {
		if value != "" {
			if *to, err = config.ParseSize(value); err != nil {
				return fmt.Errorf("--%s %w", name, err)
			}
		}
		return nil
	}
}
