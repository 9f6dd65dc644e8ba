package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// newSMTP makes a check that says HELO and QUIT (RFC 5321) to all hosts.
func newSMTP(k *director.Check, p place) probe {
	conf := k.SMTP
	if conf == nil {
		conf = &director.SMTPCheck{}
	}
	hosts := []place{p}
	if len(conf.Hosts) > 0 {
		hosts = nil
	}
	for _, h := range conf.Hosts {
		at := p
		at.to = h.Addr
		if !at.to.Addr().IsValid() {
			at.to = netip.AddrPortFrom(p.to.Addr(), h.Addr.Port())
		}
		if at.to.Port() == 0 {
			at.to = netip.AddrPortFrom(at.to.Addr(), 25)
		}
		if h.Bind.IsValid() {
			at.bind = h.Bind
		}
		hosts = append(hosts, at)
	}
	helo := conf.Helo
	if helo == "" {
		helo = "smtpchecker.takt"
	}
	return simple(func(ctx context.Context) error {
		for _, h := range hosts {
			if err := h.smtp(ctx, helo); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p place) smtp(ctx context.Context, helo string) error {
	c, err := p.dial(ctx, "tcp")
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r := bufio.NewReader(io.LimitReader(c, 64<<10))
	for _, step := range []struct{ say, want string }{{"", "220"}, {"HELO " + helo, "250"}, {"QUIT", "221"}} {
		if err := p.smtpStep(c, r, step.say, step.want); err != nil {
			return err
		}
	}
	return nil
}

func (p place) smtpStep(c net.Conn, r *bufio.Reader, say, want string) error {
	name := strings.SplitN(say+" ", " ", 2)[0]
	if say == "" {
		name = "the greeting"
	} else if _, err := io.WriteString(c, say+"\r\n"); err != nil {
		return fmt.Errorf("%s: %w", name, plain(err, p.timeout))
	}
	for {
		line, err := r.ReadString('\n')
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%s: the server hung up", name)
		case err != nil:
			return fmt.Errorf("%s: %w", name, plain(err, p.timeout))
		case len(line) < 4 || line[:3] != want:
			return fmt.Errorf("%s: the server says %.60q, not %s", name, strings.TrimSpace(line), want)
		case line[3] != '-':
			return nil
		}
	}
}
