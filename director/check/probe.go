package check

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/takt-ha/takt/director"
)

// newProbe makes what a check asks; weight is its server's.
func newProbe(c *director.Config, k *director.Check, real netip.AddrPort, weight int) (probe, error) {
	p := placeOf(k, real)
	switch k.Kind {
	case "TCP_CHECK":
		return simple(p.tcp), nil
	case "HTTP_GET", "SSL_GET":
		return newHTTP(c, k, p)
	case "SMTP_CHECK":
		return newSMTP(k, p), nil
	case "DNS_CHECK":
		return newDNS(k, p)
	case "UDP_CHECK":
		return newUDP(k, p), nil
	case "PING_CHECK":
		return simple(p.ping), nil
	case "MISC_CHECK":
		return newMisc(c, k, weight)
	case "FILE_CHECK":
		return newFile(c, k)
	}
	return nil, fmt.Errorf("%q is no check", k.Kind)
}

// simple is a probe that says nothing of the weight.
func simple(ask func(context.Context) error) probe {
	return func(ctx context.Context) (int, error) { return 0, ask(ctx) }
}

// tcp connects.
func (p place) tcp(ctx context.Context) error {
	c, err := p.dial(ctx, "tcp")
	if err != nil {
		return err
	}
	return c.Close()
}
