// Package kernel tries the director under Debian's own kernel, with real traffic: a client, directors and real servers are namespaces of one
// virtual machine (package vm), the directors are processes of "takt director run", or of the real keepalived, each with a keepalived.conf. It has
// tests alone; they skip where TAKT_GUEST names no folder for the kernel, as "make test-kernel" does.
//
//	client 192.0.2.1 ──┬── front ──┬─ d1, d2 192.0.2.11, .12 (192.0.2.10 is the virtual address)
//	                               │
//	                               └─ back ── r1, r2, r3 10.0.0.21 … (NAT: 10.0.0.1, on a director, is their router)
//
// For DR and TUN the servers are on front, too, and answer the client themselves.
//
//	TAKT_BIN     the takt binary to test
//	TAKT_STORY   run only stories that match this expression
package kernel
