// Package chaos kills and cuts a whole cluster of real daemons at random: package
// lab gives the machines, a vandal breaks them, and a judge looks at what happened.
//
//	Judge ◀── calls.jsonl of every node, and when each node crashed
//	network ── what the test has cut: who can hear whom
//	TestRandomFaults ── kill and cut at random: nothing twice, nothing lost
//
// Every daemon writes each call of an agent, with begin and end, to a
// file (environment TAKT_CALL_LOG). All nodes share one machine's clock, so the
// files can be merged, and Judge decides from them alone, without asking the
// cluster, whether a resource may ever have been active on two nodes at once.
//
// The tests need namespaces and are skipped where lab.Supported says why not.
//
//	TAKT_BIN     the takt binary to test; without it, it is built once
//	TAKT_SEED    repeats a sequence of faults
//	TAKT_FAULTS  how many faults (12 without it)
//	TAKT_PROFILE default or fast (fast without it)
//	TAKT_NODES   how many nodes (3 without it)
//	TAKT_KEEP    folder that keeps every node's logs and state
package chaos
