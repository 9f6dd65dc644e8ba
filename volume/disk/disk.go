// Package disk is a replica's backing store and its metadata on a real disk:
// data, superblock, activity log and bitmaps, through internal/osfs. What is where:
// docs/formats/volume.md; what is durable when: volume/DESIGN.md.
//
// Create formats, Open opens, and a Disk then serves the data path (ReadAt, WriteAt,
// Sync …), the activity log (Begin, End), the bitmaps and the superblock.
package disk

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/actlog"
	"github.com/takt-ha/takt/volume/bitmap"
	"github.com/takt-ha/takt/volume/meta"
)

// Options say where a replica is and how to treat it.
type Options struct {
	Volume string        // the volume's name, for messages
	ID     [16]byte      // the volume's identity; Open refuses another one. Zero: any
	Self   volume.NodeID // Open refuses the metadata of another replica
	// Path is the backing file or block device; Meta is "internal" (or empty): at its
	// end, or a file or block device of its own.
	Path, Meta string
	// Peers are the other replicas: after a crash the hot extents are marked for each of
	// them, also if there is no bitmap on disk yet. Empty: all that there can be.
	Peers []volume.NodeID
	// Size is how many bytes of data Create makes room for; it makes the file as
	// large as needed. 0: what the store has. Open looks for the
	// metadata there, too, if the store has grown since.
	Size    int64
	Extents int  // al-extents; 0: what the metadata says, and at Create meta.DefaultActlog
	NoFlush bool // no-disk-flushes: Sync does nothing. Metadata is made durable all the same
	Force   bool // Create: whatever is there now
}

func (o *Options) internal() bool { return o.Meta == "" || o.Meta == "internal" }

// metaPath is where the metadata is.
func (o *Options) metaPath() string {
	if o.internal() {
		return o.Path
	}
	return o.Meta
}

// Disk is an open replica. All methods may be called by any goroutine.
type Disk struct {
	o     Options
	fast  bool // data is in memory
	quick quick
	data  osfs.Device
	meta  osfs.Device // data, if the metadata is internal
	id    [16]byte
	self  volume.NodeID
	size  atomic.Int64

	superMu sync.Mutex // held over writes of the superblock
	super   meta.Super // guarded by stateMu; changed only with superMu held, too

	stateMu sync.Mutex
	maps    [meta.Nodes]*bitmap.Map // guarded by stateMu; nil: not asked for yet, and nothing on disk
	evict   func([]uint32) error    // guarded by stateMu

	saveMu sync.Mutex // held over SaveBitmaps

	log      *actlog.Log
	writer   atomic.Uint32 // super.Writer
	arrivals queue
	logMu    sync.Mutex            // held over everything that changes the log but Hold, Drop and Grow; who has it may wait for peers
	ringMu   sync.Mutex            // held over changes of what is in the log and their way to the disk; taken after logMu, and nobody waits for peers with it
	broken   atomic.Pointer[error] // what is on disk of the metadata is not known: see fail
	use      sync.RWMutex          // held for reading by operations on data, for writing by Close
	shut     bool                  // guarded by use
	idle     chan struct{}         // an extent is held by nobody any more
	closed   chan struct{}
	stopping sync.Once
	closing  sync.Once
	draining atomic.Bool // no Begin any more
	alWrites atomic.Uint64
	bmWrites atomic.Uint64
	notes    []string
}

// fail makes every later change of the metadata fail: a write of it failed in a way after which nobody
// knows what is on disk. What is hot stays hot, so that writes may go on until the
// replica detaches; a new Open finds out.
func (d *Disk) fail(err error) error {
	d.broken.CompareAndSwap(nil, &err)
	return err
}

// failedBefore is the error of fail.
func (d *Disk) failedBefore() error {
	if err := d.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// Super returns the superblock as it was last read or written.
func (d *Disk) Super() meta.Super {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	return d.super
}

// Size is how many bytes of data there are.
func (d *Disk) Size() int64 { return d.size.Load() }

// Notes are what Open found that somebody should know, in words: damage that was
// made good, an activity log that could not be read.
func (d *Disk) Notes() []string { return d.notes }

// Writes counts since Open: transactions of the activity log, pages of bitmaps.
func (d *Disk) Writes() (actlog, bitmap uint64) { return d.alWrites.Load(), d.bmWrites.Load() }

// Bitmap returns the map of what differs on a peer; nil for this node itself. Its
// Set, Clear, Next and so on may be called at any time.
func (d *Disk) Bitmap(peer volume.NodeID) *bitmap.Map {
	if peer >= meta.Nodes {
		return nil
	}
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	if peer == d.self {
		return nil
	}
	if d.maps[peer] == nil {
		d.maps[peer] = bitmap.New(d.super.Size)
	}
	return d.maps[peer]
}

// OnEvict sets what is called before extents leave the activity log: when it
// returns nil, all that was written to them is flushed on each connected peer or
// marked for it. An error keeps them, and fails the Begin that needed room.
//
// It is called within Begin, while other calls of Begin that need a new extent wait;
// it must not call Begin or Reset itself. A Grow goes on beside it: whoever is told to grow may be the one
// who hears the peers' answers.
func (d *Disk) OnEvict(f func(extents []uint32) error) {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	d.evict = f
}

// Drain refuses what begins from now on with ErrClosed, and waits until everything that was begun has
// ended: after it no late writer can change what a new Open finds. Then Close. It
// returns the context's error if that ends first.
func (d *Disk) Drain(ctx context.Context) error {
	d.draining.Store(true)
	d.stop()
	d.logMu.Lock()
	defer d.logMu.Unlock()
	d.log.Wait(true)
	for d.log.Held() {
		select {
		case <-d.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// stop wakes those who wait for room in the activity log.
func (d *Disk) stop() { d.stopping.Do(func() { close(d.closed) }) }

// Close saves the bitmaps, waits for operations that are under way and lets go of the
// store. A second call does nothing; later operations end with ErrClosed.
func (d *Disk) Close() error {
	var err error
	d.closing.Do(func() {
		d.draining.Store(true)
		d.stop()
		err = d.SaveBitmaps()
		d.logMu.Lock()
		defer d.logMu.Unlock()
		d.saveMu.Lock()
		defer d.saveMu.Unlock()
		d.superMu.Lock()
		defer d.superMu.Unlock()
		d.use.Lock()
		defer d.use.Unlock()
		d.shut = true
		_ = d.fail(ErrClosed)
		if cerr := closeBoth(d.data, d.meta); err == nil {
			err = cerr
		}
	})
	return err
}

// ErrClosed: the disk was closed meanwhile.
var ErrClosed = errors.New("the disk is closed")

func closeBoth(data, metadata osfs.Device) error {
	var err error
	if data != nil {
		err = data.Close()
	}
	if metadata != nil && metadata != data {
		if cerr := metadata.Close(); err == nil {
			err = cerr
		}
	}
	return err
}

// Path is the backing store's.
func (d *Disk) Path() string { return d.o.Path }
