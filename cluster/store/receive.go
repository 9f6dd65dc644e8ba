package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/takt-ha/takt/cluster/cib"
)

var errForeign = errors.New("stream refused")

// handleRaft takes one peer's stream of messages.
func (s *Store) handleRaft(ctx context.Context, from uint64, conn net.Conn) {
	if from == 0 || !s.enter() {
		return
	}
	defer s.wg.Done()
	stop := context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	defer stop()
	err := s.receive(from, conn)
	switch {
	case s.ctx.Err() != nil || ctx.Err() != nil || errors.Is(err, io.EOF):
	case errors.Is(err, errForeign):
		s.log.Warn("closed a peer's stream", "peer", from, "error", err)
	default:
		s.log.Debug("a peer's stream ended", "peer", from, "error", err)
	}
}

func (s *Store) receive(from uint64, conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	magic := make([]byte, len(streamMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return err
	}
	if string(magic) != streamMagic {
		return fmt.Errorf("%w: not a stream of version 2", errForeign)
	}
	for {
		f, err := ReadFrame(r)
		if err != nil {
			return err
		}
		select {
		case s.events <- Received{From: cib.NodeID(from), Frame: f}:
		case <-s.ctx.Done():
			return nil
		}
		if f.Snapshot() {
			if _, err := conn.Write([]byte{1}); err != nil {
				return err
			}
		}
	}
}
