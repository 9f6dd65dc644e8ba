package disk

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Sent is how an order ended.
type Sent struct {
	Seq   uint64
	Slot  int
	Why   string        // why the node counts as off, in words
	Took  time.Duration // of it all
	Acked bool          // the node has said that it read the order
}

// Off has a node power off or reset, and returns without an error when it is off:
// when it has booted since, or when the order has lain on a majority of the disks
// for Times.Wait. By then the node has read it, or was reset by its watchdog
// because it could not read it; so a node that had no armed watchdog is never
// proven off. from names who asks. The order goes on to lie there after a failure.
func (s *Set) Off(ctx context.Context, node string, order Order, from string) (Sent, error) {
	began := time.Now()
	if order != Off && order != Reboot {
		return Sent{}, fmt.Errorf("the order %s switches nothing off", order)
	}
	u, slot, err := s.find(ctx, node)
	if err != nil {
		return Sent{}, err
	}
	pill := Pill{Seq: slot.next(), Order: order, Node: node, From: clip(from), At: began}
	sent := Sent{Seq: pill.Seq, Slot: slot.Index}
	if err := s.store(ctx, u, pillBlock(slot.Index), pill.encode); err != nil {
		return sent, fmt.Errorf("write the order for %s: %w", node, err)
	}
	if sent.Why, err = s.await(ctx, u, slot, pill, &sent); err == nil {
		err = s.settle(ctx, u, slot.Index, pill)
	}
	sent.Took = time.Since(began)
	return sent, err
}

// settle marks the order as obeyed, so that others see it, too. If somebody else
// has given an order since, that one is marked: poison has lain there all the time.
func (s *Set) settle(ctx context.Context, u usable, index int, pill Pill) error {
	now, err := s.reread(ctx, u, index)
	if err == nil && newer(now.Pill.Seq, pill.Seq) {
		pill = now.Pill
	}
	pill.Settled = true
	if err := s.store(ctx, u, pillBlock(index), pill.encode); err != nil {
		return fmt.Errorf("write that %s is off: %w", pill.Node, err)
	}
	return nil
}

// clip makes a sender's name fit.
func clip(from string) string { return from[:min(len(from), longestName)] }

// await waits until an order that lies on a majority must have been obeyed.
func (s *Set) await(ctx context.Context, u usable, slot Slot, pill Pill, sent *Sent) (string, error) {
	end := time.NewTimer(u.Times.Wait)
	defer end.Stop()
	look := time.NewTicker(u.Times.Loop)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%s was told to go down, and would count as off after %s: %w; give the device more time (pcmk_off_timeout)", pill.Node, u.Times.Wait, ctx.Err())
		case <-look.C:
			now, err := s.reread(ctx, u, slot.Index)
			if err != nil {
				continue // the order lies there, whether we can look or not
			}
			sent.Acked = sent.Acked || now.Owner.Boot == slot.Owner.Boot && !newer(pill.Seq, now.Owner.Seen)
			if now.Owner.Boot != slot.Owner.Boot {
				return pill.Node + " has booted since the order", nil
			}
		case <-end.C:
			return s.judge(u, slot, pill, *sent)
		}
	}
}

// judge says what it proves that the wait is over.
func (s *Set) judge(u usable, slot Slot, pill Pill, sent Sent) (string, error) {
	read := "and whether it has read that is not known"
	if sent.Acked {
		read = "and has read that"
	}
	switch w := slot.Owner.Watchdog; {
	case w == 0:
		return "", fmt.Errorf("%s was told to go down, %s; but it had no armed watchdog, so nothing proves that it obeyed: give its machine a watchdog (softdog), or switch it off and say takt fence confirm %s", pill.Node, read, pill.Node)
	case w > u.Times.Watchdog:
		return "", fmt.Errorf("%s was told to go down, %s; but its watchdog takes %s, longer than the %s that the fence disks are made for, so it may still run: make the disks anew, or give the watchdog less", pill.Node, read, w, u.Times.Watchdog)
	}
	if sent.Acked {
		return fmt.Sprintf("%s has read the order, and its watchdog had %s to reset it at the latest", pill.Node, u.Times.Wait), nil
	}
	return fmt.Sprintf("the order has lain in the slot of %s for %s: it has obeyed, or its watchdog has reset it because it could not read it", pill.Node, u.Times.Wait), nil
}

// IsOff says whether a node is off by an order that has settled, and it has not
// begun to run anything since.
func (s *Set) IsOff(ctx context.Context, node string) (bool, error) {
	_, slot, err := s.find(ctx, node)
	return err == nil && slot.off(), err
}

func (s Slot) off() bool {
	return s.Pill.Order != NoOrder && s.Pill.Node == s.Owner.Node && s.Pill.Settled && newer(s.Pill.Seq, s.Owner.Cleared)
}

// Over says whether the node runs again after the newest order, or was given none.
func (s Slot) Over() bool { return s.Pill.Order == NoOrder || !newer(s.Pill.Seq, s.Owner.Cleared) }

// Note sends a test or exit and waits until the node has read it, or ctx ends.
func (s *Set) Note(ctx context.Context, node string, order Order, from string) error {
	if order != Test && order != Exit {
		return fmt.Errorf("%s is no note; want test or exit", order)
	}
	u, slot, err := s.find(ctx, node)
	if err != nil {
		return err
	}
	last := latest(slot.Note.Seq, slot.Owner.Noted)
	note := Pill{Seq: last + 1, Order: order, Node: node, From: clip(from), At: time.Now()}
	if note.Seq == 0 {
		note.Seq = 1
	}
	if err := s.store(ctx, u, noteBlock(slot.Index), note.encode); err != nil {
		return fmt.Errorf("write the note for %s: %w", node, err)
	}
	look := time.NewTicker(u.Times.Loop / 2)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s has not read the %s: its daemon does not run, or it does not see the disks (it is %s by its slot)", node, order, slot.Owner.State), ctx.Err())
		case <-look.C:
			if now, err := s.reread(ctx, u, slot.Index); err == nil && !newer(note.Seq, now.Owner.Noted) {
				return nil
			}
		}
	}
}
