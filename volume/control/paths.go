package control

import "path/filepath"

// Paths are where a volume's things are.
type Paths struct {
	Config  string // NAME.toml
	Control string // the socket of this package
	NBD     string // the socket of the NBD server
	Lock    string // held by the process of the volume
	Log     string // what the process says, where nobody else keeps it
	Run     string // folder for mount points of front ends
	// ByName is where links to block devices are made.
	ByName string
}

// In returns the paths of a volume below dir, or those of the system if dir is empty.
func In(dir, name string) Paths {
	if dir == "" {
		return Paths{
			Config: filepath.Join("/etc/takt/volumes", name+".toml"), Control: filepath.Join("/run/takt/volumes", name+".sock"),
			NBD: filepath.Join("/run/takt/volumes", name+".nbd"), Lock: filepath.Join("/run/takt/volumes", name+".lock"),
			Log: filepath.Join("/var/log/takt", "volume-"+name+".log"), Run: "/run/takt/volumes", ByName: "/dev/takt/by-name",
		}
	}
	at := func(suffix string) string { return filepath.Join(dir, name+suffix) }
	return Paths{Config: at(".toml"), Control: at(".sock"), NBD: at(".nbd"), Lock: at(".lock"), Log: at(".log"), Run: dir, ByName: filepath.Join(dir, "by-name")}
}
