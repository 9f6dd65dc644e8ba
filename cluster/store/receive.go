package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	pb "go.etcd.io/raft/v3/raftpb"
)

var (
	errForeign = errors.New("message refused")
	errOld     = errors.New("older generation")
)

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
		return fmt.Errorf("%w: not a stream of version 1", errForeign)
	}
	for {
		generation, m, err := readFrame(r)
		if err != nil {
			return err
		}
		if err := s.admit(from, generation, m); err != nil {
			return err
		}
		select {
		case s.recv <- m:
		case <-s.ctx.Done():
			return nil
		}
		if m.GetType() == pb.MsgSnap {
			if _, err := conn.Write([]byte{1}); err != nil {
				return err
			}
		}
	}
}

// admit checks a message before Raft sees it: Raft trusts what it is given.
func (s *Store) admit(from, generation uint64, m *pb.Message) error {
	own := s.State().Generation
	switch {
	case m.GetFrom() != from || m.GetTo() != uint64(s.cfg.Self):
		return fmt.Errorf("%w: from %d to %d, sent by %d", errForeign, m.GetFrom(), m.GetTo(), from)
	case own != 0 && generation < own && !(generation == 0 && answers(m)):
		return fmt.Errorf("%w: %w: node %d is of generation %d, this cluster's is %d; let it join again", errForeign, errOld, from, generation, own)
	case own != 0 && generation > own:
		return fmt.Errorf("%w: node %d is of generation %d, this node's state of %d: it has to join again", errForeign, from, generation, own)
	case m.GetType() != pb.MsgSnap:
		return nil
	}
	meta, _, err := decodeSnapshot(m.GetSnapshot().GetData())
	head := m.GetSnapshot().GetMetadata()
	if err == nil && (meta.Index != head.GetIndex() || meta.Term != head.GetTerm()) {
		err = errors.New("head and content differ")
	}
	if err != nil {
		return fmt.Errorf("%w: snapshot: %w", errForeign, err)
	}
	return nil
}

// answers tells what a joining node, which has no generation yet, may say.
func answers(m *pb.Message) bool {
	return m.GetType() == pb.MsgAppResp || m.GetType() == pb.MsgHeartbeatResp
}
