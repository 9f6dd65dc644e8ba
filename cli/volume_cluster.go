package cli

import (
	"context"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/identity"
)

// keyTime bounds a question to the cluster's daemon.
const keyTime = 5 * time.Second

// derive gives the identity and the secret of a volume whose file has none: of the cluster that
// --cluster names, else of the one that this machine is a member of.
func (v *volumes) derive(name string) (id, secret string, err error) {
	if v.cluster == "" {
		member, err := identity.Load(identity.DefaultDir)
		if err != nil {
			return "", "", err
		}
		return member.Volume(name)
	}
	ctx, done := context.WithTimeout(context.Background(), keyTime)
	defer done()
	c := api.NewClient(v.cluster)
	defer c.Close()
	key, err := c.VolumeKey(ctx, name)
	if err != nil {
		return "", "", err
	}
	return key.ID, key.Secret, nil
}
