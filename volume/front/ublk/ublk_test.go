package ublk

import (
	"testing"

	"github.com/takt-ha/takt/volume/front/block/blocktest"
)

func TestDevice(t *testing.T) { blocktest.Run(t, Front{}) }
