package cli

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/daemon"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/meta"
)

// metadata is what dump-md prints.
type metadata struct {
	Name        string     `json:"name"`
	Where       string     `json:"where"`
	Whole       bool       `json:"whole"` // both copies of the superblock are good and equal
	Volume      string     `json:"volume_id"`
	Node        int        `json:"node_id"`
	Size        int64      `json:"size"`
	Disk        string     `json:"disk_state"`
	Crashed     bool       `json:"crashed_primary"`
	PrimaryLost bool       `json:"primary_lost_last_peer"`
	Current     string     `json:"current_uuid"`
	History     []string   `json:"history"`
	Extents     int        `json:"al_extents"`
	Members     []int      `json:"up_to_date_set"` // node ids, as the cluster recorded; empty without a cluster
	SetVersion  uint64     `json:"up_to_date_set_version"`
	Sequence    uint64     `json:"sequence"`
	Created     int64      `json:"created"` // Unix seconds
	Written     int64      `json:"generation_since"`
	Peers       []metaPeer `json:"peers"`
}

type metaPeer struct {
	Node         int    `json:"node_id"`
	Name         string `json:"name"`
	Bitmap       string `json:"bitmap_uuid"`
	FullSync     bool   `json:"full_sync"`
	SyncTargetOf bool   `json:"sync_target_of"`
	Outdated     bool   `json:"outdated"`
	Generations  string `json:"generations"` // as DRBD's show-gi prints them
}

func newVolumeDumpCommand(v *volumes) *cobra.Command {
	return &cobra.Command{
		Use:   "dump-md NAME",
		Short: "Show the metadata on the disk: identity, generations, flags",
		Long: "Reads the superblock from the disk and changes nothing, also while the volume is up: then it shows\n" +
			"what was written last.",
		Example:           "  takt volume dump-md r0\n  takt volume dump-md r0 -o json",
		Args:              oneName,
		ValidArgsFunction: v.completeVolumes(false, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := v.load(args[0])
			if err != nil {
				return err
			}
			self := selfOf(c)
			if self.Disk == "none" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s has no disk on %s, and so no metadata\n", c.Name, self.Name)
				return nil
			}
			s, whole, err := disk.Inspect(osfs.OS{}, daemon.DiskOptions(c))
			if err != nil {
				return err
			}
			m := metadataOf(c, s, whole)
			if v.json() {
				return printJSON(cmd, m)
			}
			renderMetadata(cmd.OutOrStdout(), m, time.Local)
			return nil
		},
	}
}

func metadataOf(c volume.Config, s meta.Super, whole bool) metadata {
	self := selfOf(c)
	m := metadata{
		Name: c.Name, Where: self.Meta, Whole: whole, Volume: hex.EncodeToString(s.Volume[:]), Node: int(s.Self), Size: s.Size, Disk: s.Disk.String(), Crashed: s.Crashed,
		PrimaryLost: s.PrimaryLost, Current: uuid(s.Gen.Current), History: []string{}, Extents: s.ActlogSize, Members: []int{}, SetVersion: s.MembersVersion, Sequence: s.Sequence,
		Created: s.Created, Written: s.Written, Peers: []metaPeer{},
	}
	if self.Meta == "internal" {
		m.Where = self.Disk + " (internal)"
	}
	for _, h := range s.Gen.History {
		if h != 0 {
			m.History = append(m.History, uuid(h))
		}
	}
	for i := range meta.Nodes {
		if s.Members&(1<<i) != 0 {
			m.Members = append(m.Members, i)
		}
	}
	for _, n := range c.Nodes {
		if n.ID == c.Self {
			continue
		}
		m.Peers = append(m.Peers, metaPeer{Node: int(n.ID), Name: n.Name, Bitmap: uuid(s.Gen.Bitmap[n.ID]), FullSync: s.FullSync[n.ID], SyncTargetOf: s.SyncTargetOf[n.ID],
			Outdated: s.PeerOutdated[n.ID], Generations: s.Gen.Text(n.ID)})
	}
	return m
}

func uuid(g volume.Generation) string { return fmt.Sprintf("%016X", uint64(g)) }

func renderMetadata(out io.Writer, m metadata, zone *time.Location) {
	line := func(name, text string) { fmt.Fprintf(out, "%s %s\n", pad(name, 16), clean(text)) }
	when := func(unix int64) string {
		if unix == 0 {
			return "never"
		}
		return time.Unix(unix, 0).In(zone).Format("2006-01-02 15:04:05")
	}
	line("volume", m.Name+" ("+m.Volume+"), node "+fmt.Sprint(m.Node))
	line("metadata", m.Where+map[bool]string{true: "", false: "; one of its two copies is damaged or old, the other is good"}[m.Whole])
	line("size", fmt.Sprintf("%s (%d bytes)", humanSize(m.Size), m.Size))
	line("disk", m.Disk)
	if m.Crashed {
		line("", "is primary, or was when it stopped: after an attach it has crashed")
	}
	if m.PrimaryLost {
		line("", "was primary when it lost its last peer")
	}
	line("generation", m.Current+map[bool]string{true: " (fresh: it has never held data)", false: ", since " + when(m.Written)}[m.Current == uuid(volume.JustCreated)])
	for i, h := range m.History {
		line(map[bool]string{true: "before it"}[i == 0], h)
	}
	for _, p := range m.Peers {
		text := "in step"
		if p.Bitmap != uuid(0) {
			text = "last in step with " + p.Bitmap
		}
		for _, x := range []struct {
			is   bool
			text string
		}{{p.FullSync, "every block counts as different"}, {p.SyncTargetOf, "a resync from it is not finished"}, {p.Outdated, "its data is known to be old"}} {
			if x.is {
				text += "; " + x.text
			}
		}
		line("peer "+p.Name, text)
	}
	line("activity log", fmt.Sprintf("%d extents of 4 MiB", m.Extents))
	if len(m.Members) > 0 {
		line("up to date are", fmt.Sprintf("nodes %v, version %d of the set", m.Members, m.SetVersion))
	}
	line("created", when(m.Created))
}
