// Package demo shows a cluster that fails over, on one machine: three nodes and a
// client in a laboratory (package lab), a replicated volume, a group of a service address and a small
// web service that counts visits on the volume, and a client that never stops asking.
//
// Script plays a fixed list of failures and holds each against what Takt
// promises; Live lets a person cause them at a terminal. Both build a Session,
// and leave nothing behind when it is closed.
package demo
