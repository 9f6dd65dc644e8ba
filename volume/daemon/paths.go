package daemon

import "github.com/takt-ha/takt/volume/control"

// Paths are where a volume's things are.
type Paths = control.Paths

// In returns the paths of a volume below dir, or those of the system if dir is empty.
func In(dir, name string) Paths { return control.In(dir, name) }
