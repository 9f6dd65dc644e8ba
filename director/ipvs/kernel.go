package ipvs

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/netif"
)

// kernel is what IPVS can be asked. Its errors are those of the kernel, unix.Errno.
type kernel interface {
	// services returns all of them, also those of others.
	services() ([]seenService, error)
	// servers returns those of a service.
	servers(service) ([]seenServer, error)
	// do carries a command out.
	do(command) error
	// daemons returns the sync daemons that run.
	daemons() ([]syncd, error)
	startDaemon(syncd) error
	stopDaemon(syncd) error
	timeouts() (director.Timeouts, error)
	// setTimeouts sets those that are not 0.
	setTimeouts(director.Timeouts) error
	version() (string, error)
	close()
}

type seenService struct {
	service
	count director.Count
}

type seenServer struct {
	server
	count director.Count
}

// session is the kernel of the calling thread's network namespace.
type session struct{ socket *netif.Generic }

func openKernel() (kernel, error) {
	g, err := netif.OpenGeneric(familyName, familyVersion)
	if errors.Is(err, unix.ENOENT) {
		return nil, errors.New("this kernel has no IPVS (module ip_vs)")
	}
	if err != nil {
		return nil, err
	}
	return &session{g}, nil
}

func (s *session) close() { s.socket.Close() }

func (s *session) services() ([]seenService, error) {
	list, err := s.socket.List(cmdGetService, nil)
	if err != nil {
		return nil, fmt.Errorf("read the services of IPVS: %w", err)
	}
	out := make([]seenService, len(list))
	for i, b := range list {
		if out[i].service, out[i].count, err = decodeService(b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *session) servers(of service) ([]seenServer, error) {
	var a attributes
	a.nest(attrService, of.identity())
	list, err := s.socket.List(cmdGetDest, a)
	if err != nil {
		return nil, fmt.Errorf("read the servers of %s from IPVS: %w", &of, err)
	}
	out := make([]seenServer, len(list))
	for i, b := range list {
		if out[i].server, out[i].count, err = decodeServer(b, of.ipv6()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *session) do(c command) error {
	number, a := c.encode()
	return s.socket.Do(number, a)
}

func (s *session) daemons() ([]syncd, error) {
	list, err := s.socket.List(cmdGetDaemon, nil)
	if err != nil {
		return nil, fmt.Errorf("read the sync daemons of IPVS: %w", err)
	}
	out := make([]syncd, len(list))
	for i, b := range list {
		if out[i], err = decodeDaemon(b); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *session) startDaemon(d syncd) error { return s.socket.Do(cmdNewDaemon, d.encode()) }

// stopDaemon looks whether the daemon has gone instead of waiting for an answer: the kernel gives none about a daemon that it stops before
// its thread has ever run.
func (s *session) stopDaemon(d syncd) error {
	if err := s.socket.Tell(cmdDelDaemon, d.encode()); err != nil {
		return err
	}
	have, err := s.daemons()
	if err == nil && slices.ContainsFunc(have, func(h syncd) bool { return h.State == d.State }) {
		return errors.New("it still runs")
	}
	return err
}

func (s *session) timeouts() (director.Timeouts, error) {
	b, err := s.socket.Get(cmdGetConfig, nil)
	if err != nil {
		return director.Timeouts{}, fmt.Errorf("read the timeouts of IPVS: %w", err)
	}
	return decodeTimeouts(b)
}

func (s *session) setTimeouts(t director.Timeouts) error {
	return s.socket.Do(cmdSetConfig, encodeTimeouts(t))
}

func (s *session) version() (string, error) {
	b, err := s.socket.Get(cmdGetInfo, nil)
	if err != nil {
		return "", err
	}
	return decodeVersion(b)
}
