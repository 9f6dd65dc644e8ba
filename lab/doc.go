// Package lab runs a whole cluster on one machine: every node is a set of real
// processes in its own user, network, mount, PID, UTS and IPC namespace, joined
// to the others by one bridge a link. It needs no external command, works for
// an ordinary user and for root, and leaves nothing outside its folder.
//
//	lab up ──re-executes──▶ supervisor           (PID 1 of a PID namespace, owns the
//	                          │                   bridges tl1, tl2, … and D/lab.sock)
//	                          ├──▶ node-init n1   (PID 1 of node n1, D/nodes/n1/ctl.sock)
//	                          │      ├── takt daemon (kept running, as an init system would)
//	                          │      └── whatever Exec runs
//	                          ├──▶ node-init n2 …
//	                          └──▶ node-init client
//
// Everything hangs on PID namespaces: when the supervisor dies, however it dies,
// the kernel ends every process below it, and with them their namespaces,
// interfaces and mounts.
//
// Node I has the address 10.88.K.I on link K (interface ethK), the client
// 10.88.K.250. A node sees the host's files read-only; /etc and /var are private
// writable copies, /run and /tmp are its own and empty, /etc/takt and
// /var/lib/takt are D/nodes/NAME/etc and …/var, and survive a crash. The
// laboratory's folder D is visible and writable under its own path.
//
// Tests use Up, Lab.Exec, Lab.Crash, Lab.Cut, Lab.Probe and Lab.Down; the same
// is at hand as `takt lab …`.
package lab
