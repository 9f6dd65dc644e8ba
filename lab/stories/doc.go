// Package stories tests whole clusters of real daemons in laboratories: each
// test forms a cluster, does something bad to it, and looks at what a person
// would see. The tests need namespaces and are skipped where lab.Supported says
// why not; environment TAKT_BIN names the binary to test, else it is built once.
package stories
