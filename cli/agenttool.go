package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
)

// Exit codes of Pacemaker's programs (crm_error(8)) that agents look at.
const (
	toolOK           = 0
	toolError        = 1
	toolPermission   = 4
	toolUsage        = 64
	toolDisconnected = 102
	toolNoSuch       = 105
	toolTimeout      = 124
)

// toolTime bounds a call: an agent has to end in its own time.
const toolTime = 10 * time.Second

// AgentTool says whether a process called like this is one of the programs by which OCF scripts
// keep attributes (crm_attribute(8), crm_master(8), attrd_updater(8), crm_node(8)), and runs it. They
// know what agents use of them.
func AgentTool(argv []string, stdout, stderr io.Writer) (code int, ours bool) {
	if len(argv) == 0 {
		return 0, false
	}
	name := filepath.Base(argv[0])
	run := map[string]func(*agentTool) error{
		"crm_attribute": (*agentTool).attribute, "crm_master": (*agentTool).attribute, "attrd_updater": (*agentTool).updater, "crm_node": (*agentTool).node,
	}[name]
	if run == nil {
		return 0, false
	}
	t := &agentTool{name: name, out: stdout, client: api.NewClient(defaultSocket())}
	defer t.client.Close()
	var done context.CancelFunc
	t.ctx, done = context.WithTimeout(context.Background(), toolTime)
	defer done()
	err := t.parse(argv[1:])
	if err == nil {
		err = run(t)
	}
	if err == nil {
		return toolOK, true
	}
	fmt.Fprintf(stderr, "%s: %s\n", name, clean(err.Error()))
	return toolCode(err), true
}

func toolCode(err error) int {
	switch errs.KindOf(err) {
	case errs.NotFound:
		return toolNoSuch
	case errs.Invalid:
		return toolUsage
	case errs.Permission:
		return toolPermission
	case errs.Unavailable:
		return toolDisconnected
	case errs.Timeout:
		return toolTimeout
	}
	return toolError
}

// agentTool is one call.
type agentTool struct {
	name   string
	ctx    context.Context
	out    io.Writer
	client *api.Client
	given  map[string]string // options by their long names
}

// toolOption is an option: its names, the first of which is the one in agentTool.given.
type toolOption struct {
	names string
	takes byte // 0: nothing; 1: a value; '?': one that may be missing
}

// toolOptions are the options by program.
var toolOptions = map[string][]toolOption{
	"crm_attribute": {{"name n attr-name", 1}, {"node N U uname", 1}, {"lifetime l", 1}, {"type t", 1}, {"update v attr-value", 1}, {"delete D delete-attr", 0},
		{"query G get-value", 0}, {"quiet Q q", 0}, {"default d", 1}, {"promotion p", '?'}, {"set-name s", 1}, {"id i attr-id", 1}, {"verbose V", 0}, {"inhibit-policy-engine !", 0}},
	"crm_master": {{"resource r", 1}, {"node N U uname", 1}, {"lifetime l", 1}, {"update v attr-value", 1}, {"delete D delete-attr", 0},
		{"query G get-value", 0}, {"quiet Q q", 0}, {"default d", 1}, {"id i attr-id", 1}, {"verbose V", 0}},
	"attrd_updater": {{"name n", 1}, {"update U v", 1}, {"update-both B", 1}, {"update-delay Y", 0}, {"delete D", 0}, {"query Q", 0}, {"all A", 0}, {"node N", 1}, {"delay d", 1},
		{"lifetime l", 1}, {"section S", 1}, {"set s", 1}, {"private p", 0}, {"quiet q", 0}, {"wait W", 1}, {"refresh R", 0}, {"verbose V", 0}},
	"crm_node": {{"name n", 0}, {"quorum q", 0}, {"partition p", 0}, {"list l", 0}, {"cluster-id i", 0}, {"quiet Q", 0}, {"verbose V", 0}},
}

func (t *agentTool) wrong(format string, args ...any) error {
	return errs.E("read the arguments", errs.Invalid, "", "", fmt.Errorf(format, args...))
}

// option finds an option by one of its names.
func (t *agentTool) option(name string) (first string, takes byte, ok bool) {
	for _, o := range toolOptions[t.name] {
		names := strings.Fields(o.names)
		for _, n := range names {
			if n == name {
				return names[0], o.takes, true
			}
		}
	}
	return "", 0, false
}

// parse reads arguments as getopt_long(3) does: "-n X", "-nX", "--name X", "--name=X", "-QGn X".
func (t *agentTool) parse(args []string) error {
	t.given = map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		long, isLong := strings.CutPrefix(arg, "--")
		if !isLong && (len(arg) < 2 || arg[0] != '-') {
			return t.wrong("%q is not understood", arg)
		}
		words, value, glued := []string{long}, "", false
		if isLong {
			words[0], value, glued = strings.Cut(long, "=")
		} else {
			words = nil
			for i := 1; i < len(arg) && !glued; i++ {
				words = append(words, arg[i:i+1])
				if _, takes, _ := t.option(arg[i : i+1]); takes != 0 && i+1 < len(arg) {
					value, glued = arg[i+1:], true
				}
			}
		}
		for _, w := range words {
			name, takes, ok := t.option(w)
			switch {
			case !ok:
				return t.wrong("there is no option %q here", w)
			case takes == 0:
				t.given[name] = ""
			case glued:
				t.given[name] = value
			case takes == '?' && (len(args) == 0 || strings.HasPrefix(args[0], "-")):
				t.given[name] = ""
			case len(args) == 0:
				return t.wrong("option %q wants a value", w)
			default:
				t.given[name], args = args[0], args[1:]
			}
		}
	}
	return nil
}

func (t *agentTool) has(name string) bool {
	_, ok := t.given[name]
	return ok
}

// attribute is crm_attribute and crm_master.
func (t *agentTool) attribute() error {
	a := api.Attribute{Name: t.given["name"], Node: t.given["node"], Set: t.given["set-name"], User: t.name}
	resource, promotion := t.given["promotion"], t.has("promotion")
	if t.name == "crm_master" {
		resource, promotion = t.given["resource"], true
	}
	if promotion {
		if resource == "" {
			resource = os.Getenv("OCF_RESOURCE_INSTANCE")
		}
		if resource == "" {
			return t.wrong("no resource is named, and OCF_RESOURCE_INSTANCE is not set")
		}
		a.Name = agent.PromotionAttribute(resource)
	}
	if a.Name == "" {
		return t.wrong("want --name")
	}
	var err error
	if a.Kind, err = t.kind(promotion, a.Node != ""); err != nil {
		return err
	}
	switch {
	case t.has("update"):
		a.Value = t.given["update"]
		_, err = t.client.SetAttribute(t.ctx, a)
		return err
	case t.has("delete"):
		a.Delete = true
		_, err = t.client.SetAttribute(t.ctx, a)
		return err
	}
	return t.query(a, func(value string) string {
		if t.has("quiet") {
			return value
		}
		scope := map[string]string{api.AttrReboot: "status", api.AttrForever: "nodes", api.AttrCluster: "crm_config"}[a.Kind]
		return fmt.Sprintf("scope=%s  name=%s value=%s", scope, a.Name, value)
	})
}

// kind says where the attribute is, as crm_attribute finds it.
func (t *agentTool) kind(promotion, ofNode bool) (string, error) {
	where := t.given["lifetime"]
	if where == "" {
		where = t.given["type"]
	}
	switch where {
	case "reboot", "status":
		return api.AttrReboot, nil
	case "forever", "nodes":
		return api.AttrForever, nil
	case "crm_config":
		return api.AttrCluster, nil
	case "":
		switch {
		case promotion:
			return api.AttrReboot, nil
		case ofNode:
			return api.AttrForever, nil
		}
		return api.AttrCluster, nil
	}
	return "", t.wrong("%q is neither reboot (status), forever (nodes) nor crm_config", where)
}

// query prints a value, or the default.
func (t *agentTool) query(a api.Attribute, line func(value string) string) error {
	got, err := t.client.Attribute(t.ctx, a)
	switch {
	case err == nil:
		fmt.Fprintln(t.out, line(got.Value))
	case errs.KindOf(err) == errs.NotFound && t.has("default"):
		fmt.Fprintln(t.out, line(t.given["default"]))
	default:
		return err
	}
	return nil
}

// updater is attrd_updater.
func (t *agentTool) updater() error {
	if t.has("refresh") || t.has("update-delay") {
		return nil // values are told at once, and again until they are known
	}
	a := api.Attribute{Kind: api.AttrReboot, Name: t.given["name"], Node: t.given["node"], User: t.name}
	if a.Name == "" {
		return t.wrong("want --name")
	}
	var err error
	switch {
	case t.has("update-both"):
		a.Value = t.given["update-both"]
		_, err = t.client.SetAttribute(t.ctx, a)
	case t.has("update"):
		a.Value = t.given["update"]
		_, err = t.client.SetAttribute(t.ctx, a)
	case t.has("delete"):
		a.Delete = true
		_, err = t.client.SetAttribute(t.ctx, a)
	case t.has("query"):
		return t.queryUpdater(a)
	default:
		return t.wrong("want --update, --delete or --query")
	}
	return err
}

func (t *agentTool) queryUpdater(a api.Attribute) error {
	if !t.has("all") {
		return t.query(a, func(value string) string { return t.updaterLine(a.Name, a.Node, value) })
	}
	st, err := t.client.Status(t.ctx)
	if err != nil {
		return err
	}
	found := false
	for _, n := range st.Nodes {
		a.Node = n.Name
		if got, err := t.client.Attribute(t.ctx, a); err == nil {
			found = true
			fmt.Fprintln(t.out, t.updaterLine(a.Name, n.Name, got.Value))
		}
	}
	if !found {
		return errs.E("read an attribute", errs.NotFound, a.Name, "", errors.New("no node has it"))
	}
	return nil
}

func (t *agentTool) updaterLine(name, node, value string) string {
	if node == "" {
		if st, err := t.client.Status(t.ctx); err == nil {
			node = st.Node
		}
	}
	return fmt.Sprintf("name=%q host=%q value=%q", name, node, value)
}

// node is crm_node.
func (t *agentTool) node() error {
	st, err := t.client.Status(t.ctx)
	if err != nil {
		return err
	}
	var alive []string
	for _, n := range st.Nodes {
		if n.State == "online" {
			alive = append(alive, n.Name)
		}
	}
	switch {
	case t.has("name"):
		fmt.Fprintln(t.out, st.Node)
	case t.has("quorum"):
		fmt.Fprintln(t.out, map[bool]int{true: 1}[st.Quorum.Quorate])
	case t.has("partition"):
		fmt.Fprintln(t.out, strings.Join(alive, " "))
	default:
		for _, n := range st.Nodes {
			switch {
			case t.has("list"):
				fmt.Fprintf(t.out, "%d %s %s\n", n.ID, n.Name, map[bool]string{true: "member", false: "lost"}[n.State == "online"])
			case n.Name == st.Node:
				fmt.Fprintln(t.out, n.ID)
			}
		}
	}
	return nil
}
