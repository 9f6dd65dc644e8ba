// Package torture treats volumes as the world does: real processes of "takt volume run" on loopback
// are killed, cut off, robbed of unsynced writes and given rotten disks, while a writer that
// remembers what it was promised looks for what was lost. It has tests alone.
//
// What a writer may find of a piece of the volume is kept in a ledger: everything that has not been
// overwritten by a write that began after its end and was acknowledged (after a power loss: that was
// flushed). So many writes may be in flight on the same piece.
//
//	TAKT_BIN     the takt binary to test; without it, it is built once
//	TAKT_KILLS   how many kills; without it, as many as go into a few seconds
//	TAKT_GUEST   folder of kernels for the virtual machine of TestGuest, which is left out without it
//	TAKT_SEED    the seed of a run that is to be repeated (timing stays the machine's)
package torture
