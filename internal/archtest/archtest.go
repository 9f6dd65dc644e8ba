// Package archtest holds the architecture as a test: who may import whom, which
// packages must be pure, and which third-party module belongs to which room.
//
// The rules stand in tables, so that a change of the architecture is a change
// of a table, and seen in review.
package archtest

// module is the import path of this project.
const module = "github.com/takt-ha/takt"

// Tier says what a room may import of ours.
type Tier struct {
	// Imports are the packages of ours that it may import, relative to the
	// module; "x/..." stands for x and everything below it. internal/* that is
	// no I/O may be imported by everybody and is not repeated.
	Imports []string
	// Pure packages neither do I/O nor know time, randomness or goroutines.
	Pure bool
}

// everywhere are the leaves that any room may import.
var everywhere = []string{"internal/errs", "internal/mutant"}

// tiers is the architecture. A package that is not listed falls under its
// nearest listed parent; one without any is an error.
var tiers = map[string]Tier{
	// Vocabulary.
	"cluster/cib":        {Pure: true},
	"cluster/cib/rule":   {Pure: true, Imports: []string{"cluster/cib"}},
	"cluster/cib/verify": {Pure: true, Imports: []string{"agent/fence/hostmap", "cluster/cib", "cluster/cib/rule"}},
	"agent":              {},
	// Leaves.
	"internal/errs":     {Pure: true},
	"internal/mutant":   {Pure: true},
	"internal/watchdog": {},
	"internal/osfs":     {},
	"internal/blocking": {},
	"internal/busypoll": {Pure: true},
	"internal/command":  {},
	"internal/netif":    {},
	"internal/realtime": {},
	"internal/mesh":     {},
	"internal/identity": {},
	"internal/archtest": {},
	"internal/loopback": {},
	// Pure cores.
	"cluster/scheduler": {Pure: true, Imports: []string{"agent", "cluster/cib", "cluster/cib/rule"}},
	"cluster/quorum":    {Pure: true, Imports: []string{"cluster/cib"}},
	"cluster/detector":  {Pure: true, Imports: []string{"cluster/cib"}},
	"cluster/fencer":    {Pure: true},
	// The heart of a daemon, made of its cores.
	"cluster/node": {Pure: true, Imports: []string{"agent", "cluster/cib", "cluster/controller", "cluster/fencer", "cluster/quorum", "cluster/scheduler"}},
	// Readers of the scheduler's answers.
	"cluster/scheduler/simulate": {Pure: true, Imports: []string{"cluster/cib", "cluster/scheduler"}},
	"cluster/scheduler/explain":  {Pure: true, Imports: []string{"cluster/cib", "cluster/scheduler"}},
	"cluster/scheduler/whatif":   {Pure: true, Imports: []string{"cluster/cib", "cluster/scheduler", "cluster/scheduler/simulate"}},
	// Shells: each with its own cores, and not with each other.
	"cluster/link":        {Imports: []string{"cluster/cib", "cluster/detector", "cluster/quorum", "internal/netif", "internal/realtime", "internal/watchdog"}},
	"cluster/store":       {Imports: []string{"cluster/cib", "internal/mesh", "internal/osfs"}},
	"cluster/executor":    {Imports: []string{"agent", "internal/osfs"}},
	"cluster/controller":  {Pure: true, Imports: []string{"agent", "cluster/cib", "cluster/scheduler"}},
	"agent/classes":       {Imports: []string{"agent/..."}},
	"agent/outcome":       {Imports: []string{"agent", "internal/command"}},
	"agent/ocf":           {Imports: []string{"agent", "agent/outcome", "internal/command"}},
	"agent/fence":         {Imports: []string{"agent", "agent/fence/hostmap", "agent/outcome", "internal/command"}},
	"agent/fence/hostmap": {Pure: true},
	"agent/fence/native":  {Imports: []string{"agent", "agent/fence", "agent/fence/disk", "internal/command", "internal/watchdog"}},
	"agent/fence/disk":    {Imports: []string{"internal/osfs"}},
	"agent/lsb":           {Imports: []string{"agent", "agent/outcome", "internal/command"}},
	"agent/systemd":       {Imports: []string{"agent"}},
	"agent/native":        {Imports: []string{"agent", "agent/outcome", "internal/command", "internal/netif", "internal/osfs", "volume", "volume/control", "director/share", "director/daemon"}},
	// Volumes.
	"volume":         {Pure: true},
	"volume/meta":    {Pure: true, Imports: []string{"volume"}},
	"volume/bitmap":  {Pure: true, Imports: []string{"volume"}},
	"volume/actlog":  {Pure: true, Imports: []string{"volume"}},
	"volume/proto":   {Pure: true, Imports: []string{"volume", "volume/meta", "volume/state"}},
	"volume/pace":    {Pure: true, Imports: []string{"volume"}},
	"volume/state":   {Pure: true, Imports: []string{"volume", "volume/meta"}},
	"volume/disk":    {Imports: []string{"volume", "volume/actlog", "volume/bitmap", "volume/meta", "internal/osfs"}},
	"volume/front":   {Imports: []string{"volume", "volume/front", "internal/blocking", "internal/busypoll"}},
	"volume/replica": {Imports: []string{"volume", "volume/actlog", "volume/bitmap", "volume/disk", "volume/front", "volume/meta", "volume/pace", "volume/proto", "volume/state", "internal/blocking", "internal/busypoll", "internal/osfs"}},
	"volume/config":  {Imports: []string{"volume", "importer/drbd"}},
	"volume/control": {Imports: []string{"volume", "api"}},
	"volume/daemon":  {Imports: []string{"volume/...", "api", "internal/osfs", "internal/command"}},
	"importer/drbd":  {Pure: true, Imports: []string{"volume"}},
	// The director.
	"director":              {Pure: true},
	"director/vrrp":         {Pure: true, Imports: []string{"director"}},
	"director/vrrp/wire":    {Imports: []string{"director", "director/vrrp"}},
	"director/vrrp/router":  {Imports: []string{"director", "director/vrrp", "director/vrrp/wire", "internal/netif", "internal/realtime"}},
	"director/pool":         {Pure: true, Imports: []string{"director"}},
	"director/check":        {Imports: []string{"director", "director/pool", "director/program", "internal/command"}},
	"director/track":        {Imports: []string{"director", "director/program", "internal/command"}},
	"director/daemon":       {Imports: []string{"director/...", "api", "internal/command", "internal/netif"}},
	"director/program":      {Imports: []string{"director", "internal/command"}},
	"director/nat":          {Imports: []string{"director", "internal/netif", "internal/osfs"}},
	"director/ipvs":         {Imports: []string{"director", "internal/netif", "internal/osfs"}},
	"director/directortest": {},
	"director/share":        {Imports: []string{"internal/netif"}},
	"director/realserver":   {Imports: []string{"director", "internal/netif", "internal/osfs"}},
	"director/config":       {Imports: []string{"director", "importer/keepalived"}},
	"importer/keepalived":   {Pure: true, Imports: []string{"director"}},
	// Faces and wiring.
	"api":    {Imports: []string{"cluster/link", "cluster/cib"}},
	"lab":    {Imports: []string{"api", "lab/..."}},
	"lab/vm": {},
	"sim":    {Imports: []string{"agent", "cluster/...", "internal/osfs"}},
	"app":    {Imports: []string{"..."}},
	"cli":    {Imports: []string{"..."}},
	"cmd":    {Imports: []string{"..."}},
	// Tests and measurements of the whole.
	"cluster/scheduler/schedtest": {Imports: []string{"cluster/cib", "cluster/scheduler", "cluster/scheduler/simulate"}},
	"bench":                       {Imports: []string{"lab/...", "api"}},
	"bench/director":              {Imports: []string{"director", "director/nat", "internal/netif", "lab"}},
	"bench/volume":                {Imports: []string{"volume/...", "lab/vm"}},
	"volume/torture":              {Imports: []string{"volume/...", "internal/osfs"}},
	"bench/scheduler":             {Imports: []string{"cluster/scheduler/schedtest"}},
}

// thirdParty lists the modules outside the standard library, each with the
// rooms that may import it, and "test" where tests may use it anywhere.
var thirdParty = map[string][]string{
	"go.etcd.io/raft/v3":                {"cluster/store"},
	"google.golang.org/protobuf":        {"cluster/store"}, // raft's messages
	"github.com/vishvananda/netlink":    {"internal/netif", "lab"},
	"github.com/vishvananda/netns":      {"internal/netif", "lab"},
	"github.com/mdlayher/packet":        {"internal/netif"},
	"github.com/google/nftables":        {"director/nat", "director/share", "director/vrrp/router", "bench/director"},
	"github.com/mdlayher/netlink":       {"director/nat"}, // the socket below it
	"golang.org/x/net":                  {"internal/netif", "agent/native", "lab", "director", "bench/director"},
	"golang.org/x/sys":                  {"cluster/link", "cluster/executor", "internal", "agent/native", "agent/fence", "lab", "cli", "api", "volume", "bench/volume", "director", "bench/director"},
	"golang.org/x/crypto":               {"cluster/link"},
	"github.com/klauspost/compress":     {"volume/proto"},
	"github.com/BurntSushi/toml":        {"volume/config"},
	"github.com/spf13/cobra":            {"cli"},
	"github.com/spf13/pflag":            {"cli"}, // the flags of cobra's commands
	"charm.land/bubbletea/v2":           {"cli", "lab"},
	"charm.land/lipgloss/v2":            {"cli", "lab"},
	"github.com/coreos/go-systemd/v22":  {"agent/systemd"},
	"github.com/godbus/dbus/v5":         {"agent/systemd"},
	"github.com/cockroachdb/datadriven": {"test"},
	"github.com/google/go-cmp":          {"test"},
	"github.com/rogpeppe/go-internal":   {"test"},
	"go.uber.org/goleak":                {"test"},
	"pgregory.net/rapid":                {"test"},
}

// pureFiles are the pure parts of packages that hold a shell, too.
var pureFiles = map[string][]string{
	"cluster/store":       {"core.go", "step.go", "ready.go", "election.go", "request.go", "leader.go", "meet.go", "adopt.go", "lineage.go", "apply.go", "machine.go", "digest.go", "command.go"},
	"cluster/link":        {"link.go", "config.go", "engine.go", "turn.go", "standing.go", "exchange.go", "daemon.go", "dog.go", "peerdog.go", "gone.go", "report.go", "wire.go", "seal.go", "null.go"},
	"volume/front/nbd":    {"wire.go", "haggle.go"},
	"director/realserver": {"realserver.go", "want.go", "plan.go", "undo.go"},
	"volume/front/fuse":   {"wire.go"},
	"volume/front/ublk":   {"wire.go"},
	"director/ipvs":       {"attribute.go", "codec.go", "names.go", "plan.go", "settings.go", "syncd.go", "table.go"},
	"cluster/executor": {"core.go", "input.go", "effect.go", "admit.go", "submit.go", "queue.go", "operate.go", "conclude.go",
		"forget.go", "history.go", "recur.go", "watch.go", "settle.go", "alarm.go", "kept.go", "codec.go", "types.go"},
}

// impure are imports that a pure package must not have.
var impure = []string{"os", "net", "math/rand", "crypto/rand", "log", "syscall", "golang.org/x/sys", "internal/osfs", "internal/mesh", "internal/netif", "internal/command"}

// impureTime are functions of package time that read or wait for the clock.
var impureTime = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
