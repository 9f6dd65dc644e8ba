package main

import (
	"context"
	"fmt"
	"time"
)

// keepalivedPeers are two routers with one address, the web service on both, at
// three advertisement intervals in seconds.
func keepalivedPeers() []peer {
	var all []peer
	for _, advert := range []string{"1", "0.1", "0.02"} {
		all = append(all, peer{
			system: "keepalived", profile: "advert " + advert,
			needs: []string{"keepalived"}, install: "keepalived",
			nodes: 2, links: 1,
			steps: []peerStep{crashed(4500 * time.Millisecond)},
			boot: func(ctx context.Context, b *bench, node string) error {
				file, err := b.file(node+".conf", keepalivedConf(node, advert))
				if err != nil {
					return err
				}
				return b.start(ctx, node, b.serve()+fmt.Sprintf("setsid keepalived -n -l -f '%s' >'%s.log' 2>&1 &", file, file))
			},
			settled: keepalivedSettled,
		})
	}
	return all
}

func keepalivedConf(node, advert string) string {
	priority := 100
	if node == "n1" {
		priority = 150
	}
	return fmt.Sprintf(`global_defs {
  vrrp_version 3
}
vrrp_instance V {
  state BACKUP
  interface eth1
  virtual_router_id 51
  priority %d
  advert_int %s
  virtual_ipaddress { %s/24 }
}
`, priority, advert, service)
}

// keepalivedSettled waits for the router with the higher priority, which takes
// the address back from the other one.
func keepalivedSettled(_ context.Context, b *bench) (string, error) {
	at, err := b.holder()
	if err == nil && at != "n1" {
		err = fmt.Errorf("%s has the address still, not the master-to-be", at)
	}
	return at, err
}
