package realtime

import "testing"

func TestCPUGroup(t *testing.T) {
	root, own := cpuGroup("12:cpu,cpuacct:/user/a\n0::/x\n")
	if root != "/sys/fs/cgroup/cpu,cpuacct" || own != "/user/a" {
		t.Fatal(root, own)
	}
	if root, own = cpuGroup("0::/system.slice/takt.service\n"); root != "/sys/fs/cgroup" || own != "/system.slice/takt.service" {
		t.Fatal(root, own)
	}
}
