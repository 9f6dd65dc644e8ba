package cli

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/lab"
)

// newLabCommand is `takt lab`: a cluster in namespaces on this machine.
func newLabCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run a whole cluster in namespaces on this machine",
		Long: "Builds nodes n1, n2, … and a client on this one machine, each in namespaces of its\n" +
			"own, with 10.88.K.I (node I) and 10.88.K.250 (client) on link K. Works for an\n" +
			"ordinary user and leaves nothing outside its folder.",
		Example: "  takt lab up --nodes 3 --links 2 --dir /tmp/lab\n  takt lab exec --dir /tmp/lab n1 -- takt status\n  takt lab crash --dir /tmp/lab n1\n  takt lab down --dir /tmp/lab",
	}
	cmd.AddCommand(newLabUpCommand(), newLabDownCommand(), newLabStatusCommand(), newLabExecCommand(),
		newLabCutCommand(), newLabHealCommand(), newLabPowerCommand(), newLabProbeCommand(), newLabServeCommand(), newLabDaemonCommand())
	for _, v := range []struct {
		verb, short string
		do          func(*lab.Lab, string) error
	}{
		{"crash", "End all processes of a node at once, as when its power goes", (*lab.Lab).Crash},
		{"start", "Power a crashed node on", (*lab.Lab).Start},
		{"pause", "Stop all processes of a node (SIGSTOP)", (*lab.Lab).Pause},
		{"resume", "Let a paused node go on", (*lab.Lab).Resume},
	} {
		cmd.AddCommand(newLabNodeCommand(v.verb, v.short, v.do))
	}
	for _, name := range []string{"supervisor", "node-init"} {
		cmd.AddCommand(newLabHiddenCommand(name))
	}
	return cmd
}

// labDir adds --dir.
func labDir(cmd *cobra.Command, dir *string) *cobra.Command {
	cmd.Flags().StringVar(dir, "dir", "", "the laboratory's folder")
	if err := cmd.MarkFlagRequired("dir"); err != nil {
		panic(err) // the flag was defined one line above
	}
	return cmd
}

func newLabUpCommand() *cobra.Command {
	var o lab.Options
	cmd := &cobra.Command{
		Use:     "up",
		Short:   "Build the nodes and form a cluster",
		Long:    "Returns when every node is an online voter. With --bare there are only the nodes.",
		Example: "  takt lab up --nodes 3 --links 2 --profile fast --dir /tmp/lab",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			began := time.Now()
			l, err := lab.Up(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d nodes, %d links, up in %d ms in %s\n",
				len(l.Nodes()), o.Links, time.Since(began).Milliseconds(), l.Dir())
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Nodes, "nodes", 3, "how many nodes, beside the client")
	f.IntVar(&o.Links, "links", 2, "how many links between them")
	f.StringVar(&o.Profile, "profile", "default", "default or fast")
	f.StringArrayVar(&o.Env, "env", nil, "NAME=VALUE for everything in the nodes, {node} standing for the node's name; may be repeated")
	f.BoolVar(&o.Fence, "fence", false, "make the laboratory's power switch the fence device of every node")
	f.DurationVar(&o.Boot, "boot", 0, "how long a node stays off that its watchdog has reset")
	f.DurationVar(&o.Watchdog, "watchdog", 0, "give every node a watchdog with this time-out (0: none)")
	f.BoolVar(&o.Witness, "witness", false, "make the last node a witness: it votes and runs nothing")
	f.BoolVar(&o.Bare, "bare", false, "namespaces alone: form no cluster, start no daemon")
	return labDir(cmd, &o.Dir)
}

func newLabDownCommand() *cobra.Command {
	var dir string
	var purge bool
	cmd := &cobra.Command{
		Use:     "down",
		Short:   "End everything and remove what only a running laboratory needs",
		Example: "  takt lab down --dir /tmp/lab --purge",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			return l.Down(cmd.Context(), purge)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove the folder with all logs, too")
	return labDir(cmd, &dir)
}

func newLabStatusCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Show the nodes, their addresses and what is cut",
		Example: "  takt lab status --dir /tmp/lab -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			s, err := l.Status()
			if err != nil {
				return err
			}
			if wantJSON(cmd) {
				return printJSON(cmd, s)
			}
			t := table{painter: painterFor(cmd.OutOrStdout())}
			for _, n := range s.Nodes {
				t.add(cell{n.Name, bold}, cell{n.State, plain}, cell{fmt.Sprint(n.Addresses), plain})
			}
			t.write(cmd.OutOrStdout())
			for _, c := range s.Cuts {
				fmt.Fprintf(cmd.OutOrStdout(), "cut: %s\n", c)
			}
			return nil
		},
	}
	return labDir(cmd, &dir)
}

// wantJSON reads the global flag -o.
func wantJSON(cmd *cobra.Command) bool {
	f := cmd.Flag("output")
	return f != nil && f.Value.String() == "json"
}

func newLabNodeCommand(verb, short string, do func(*lab.Lab, string) error) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     verb + " NODE",
		Short:   short,
		Example: "  takt lab " + verb + " --dir /tmp/lab n1",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			return do(l, args[0])
		},
	}
	return labDir(cmd, &dir)
}

func newLabDaemonCommand() *cobra.Command {
	var dir string
	verbs := map[string]func(*lab.Lab, string) error{
		"start": (*lab.Lab).StartDaemon, "stop": (*lab.Lab).StopDaemon, "kill": (*lab.Lab).KillDaemon}
	cmd := &cobra.Command{
		Use:     "daemon start|stop|kill NODE",
		Short:   "Start, stop or kill -9 a node's takt daemon",
		Long:    "A killed daemon is started again at once, as an init system would; a stopped one stays down.",
		Example: "  takt lab daemon --dir /tmp/lab kill n1",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			do, ok := verbs[args[0]]
			if !ok {
				return usage(cmd, fmt.Errorf("%q: want start, stop or kill", args[0]))
			}
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			return do(l, args[1])
		},
	}
	return labDir(cmd, &dir)
}

func newLabExecCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "exec NODE -- CMD…",
		Short:   "Run a command in a node",
		Long:    "Input, output, signals and exit status are the command's own.",
		Example: "  takt lab exec --dir /tmp/lab n1 -- takt status",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			// Not the command's context: an interrupt is passed on, not acted on.
			code, err := l.Interactive(context.WithoutCancel(cmd.Context()), args[0], args[1:])
			if err == nil && code != 0 {
				err = exitStatus(code)
			}
			return err
		},
	}
	return labDir(cmd, &dir)
}

func newLabCutCommand() *cobra.Command {
	var dir string
	var o lab.CutOptions
	cmd := &cobra.Command{
		Use:   "cut NODE",
		Short: "Pull a node's cable, or drop what two nodes send each other",
		Long: "Without --from the cables of NODE are pulled; with it, frames between NODE and PEER\n" +
			"are silently dropped, and with --one-way only those from NODE to PEER.",
		Example: "  takt lab cut --dir /tmp/lab n1 --link 2\n  takt lab cut --dir /tmp/lab n1 --from n2",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			o.Node = args[0]
			return l.Cut(o)
		},
	}
	cmd.Flags().IntVar(&o.Link, "link", 0, "on this link only (0: all)")
	cmd.Flags().StringVar(&o.From, "from", "", "only between NODE and this peer")
	cmd.Flags().BoolVar(&o.OneWay, "one-way", false, "with --from: only what NODE sends")
	return labDir(cmd, &dir)
}

func newLabHealCommand() *cobra.Command {
	var dir string
	var o lab.CutOptions
	cmd := &cobra.Command{
		Use:     "heal [NODE]",
		Short:   "Take cuts back, of one node or all",
		Example: "  takt lab heal --dir /tmp/lab",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				o.Node = args[0]
			}
			return l.Heal(o)
		},
	}
	cmd.Flags().IntVar(&o.Link, "link", 0, "on this link only (0: all)")
	cmd.Flags().StringVar(&o.From, "from", "", "only cuts between NODE and this peer")
	return labDir(cmd, &dir)
}

func newLabPowerCommand() *cobra.Command {
	var dir, fault string
	o := lab.PowerOptions{}
	cmd := &cobra.Command{
		Use:   "power [NODE]",
		Short: "Say how the power switch behaves, for one node or all",
		Long: "The switch is what fence_takt_lab talks to. With --fault fail it answers with an error,\n" +
			"with lie it says ok and does nothing, with hang it does not answer; without, it works.",
		Example: "  takt lab power --dir /tmp/lab n1 --fault fail\n  takt lab power --dir /tmp/lab --delay 2s",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := lab.Open(dir)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				o.Node = args[0]
			}
			o.Fault = lab.PowerFault(fault)
			return l.Power(o)
		},
	}
	cmd.Flags().DurationVar(&o.Delay, "delay", -time.Millisecond, "how long an action takes (default: as it is)")
	cmd.Flags().StringVar(&fault, "fault", "", "fail, lie or hang")
	return labDir(cmd, &dir)
}

func newLabProbeCommand() *cobra.Command {
	var o lab.ProbeOptions
	var dir, from string
	var stream bool
	cmd := &cobra.Command{
		Use:   "probe ADDR:PORT",
		Short: "Ask a web service every 2 ms and report each gap",
		Long: "Each attempt is a connection of its own. The first line of an answer names the node\n" +
			"that gave it. With --dir it asks from within that laboratory, else from this machine.",
		Example: "  takt lab probe 10.88.1.100:80 --for 10s --dir /tmp/lab -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Address = args[0]
			var each func(lab.Attempt)
			if stream {
				each = func(a lab.Attempt) { _ = printLine(cmd.OutOrStdout(), a) } // a closed pipe ends us by SIGPIPE
			}
			r, err := runProbe(cmd, dir, from, o, each)
			switch {
			case err != nil || stream:
				return err
			case wantJSON(cmd):
				return printJSON(cmd, r)
			}
			renderProbe(cmd.OutOrStdout(), r)
			return nil
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.For, "for", 10*time.Second, "how long (0: until interrupted)")
	f.DurationVar(&o.Interval, "interval", 2*time.Millisecond, "between attempts")
	f.DurationVar(&o.Timeout, "timeout", 200*time.Millisecond, "of one attempt")
	f.StringVar(&o.Path, "path", "/", "what to ask for")
	f.StringVar(&dir, "dir", "", "ask from within the laboratory in this folder")
	f.StringVar(&from, "from", lab.Client, "with --dir: from this node")
	f.BoolVar(&stream, "stream", false, "print every attempt as a line of JSON instead of a report")
	return cmd
}

func runProbe(cmd *cobra.Command, dir, from string, o lab.ProbeOptions, each func(lab.Attempt)) (*lab.Report, error) {
	if dir == "" {
		return lab.Probe(cmd.Context(), o, each)
	}
	l, err := lab.Open(dir)
	if err != nil {
		return nil, err
	}
	return l.Probe(cmd.Context(), from, o, each)
}

// renderProbe prints what a client saw, a line a gap.
func renderProbe(w io.Writer, r *lab.Report) {
	fmt.Fprintf(w, "%s: %d attempts, %d answered, %d failed", r.Address, r.Total, r.OK, r.Failed)
	if r.Worst != "" {
		fmt.Fprintf(w, " (%s)", r.Worst)
	}
	fmt.Fprintln(w)
	for _, g := range r.Gaps {
		fmt.Fprintf(w, "gap of %7.1f ms at %s: %s, then %s, %d failed\n", g.Length,
			time.Unix(0, g.Start).Format("15:04:05.000"), orNobody(g.Before), orNobody(g.After), g.Failed)
	}
	for _, s := range r.Twice {
		fmt.Fprintf(w, "TWO NODES ANSWERED: %s and %s at %s\n", s.Before, s.After, time.Unix(0, s.Time).Format("15:04:05.000"))
	}
}

func orNobody(node string) string {
	if node == "" {
		return "nobody"
	}
	return node
}

func newLabServeCommand() *cobra.Command {
	var listen, volume string
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "A small web service that answers with this machine's name",
		Long:    "For demonstrations and measurements. Runs until SIGTERM. With --volume it counts the requests\nfor " + lab.CountPath + " in the volume's first block, and answers them with the number, too.",
		Example: "  takt lab serve --listen 10.88.1.100:80\n  takt lab serve --listen 10.88.1.100:80 --volume /run/takt/volumes/r0.nbd",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
			defer stop()
			return lab.Serve(ctx, listen, volume)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8088", "ADDR:PORT to answer on")
	cmd.Flags().StringVar(&volume, "volume", "", "the NBD socket of a volume that is for this alone")
	return cmd
}

// newLabHiddenCommand is what the laboratory re-executes this binary with.
func newLabHiddenCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use:    name,
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			ours, err := lab.Hidden(append([]string{name}, args...))
			if !ours {
				return errs.E(cmd.CommandPath(), errs.Invalid, "", "This is started by \"takt lab up\".", nil)
			}
			return err
		},
	}
}
