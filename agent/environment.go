package agent

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultOCFRoot is where distributions install OCF agents and their functions.
const DefaultOCFRoot = "/usr/lib/ocf"

// SearchPath is the PATH of every agent: a daemon may have been started with less.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// AgentTemp is HA_RSCTMP, where the resource-agents package keeps its agents'
// state files. It must be a folder that a reboot clears.
const AgentTemp = "/run/resource-agents"

// Environment returns the whole environment of an agent, sorted: what the OCF
// resource agent API 1.1 names (OCF_*), what Pacemaker adds (OCF_RESKEY_CRM_meta_*)
// and what the resource-agents package's shell functions read (HA_*). Nothing
// of the daemon's own environment is handed on. root is the OCF root, "" for
// DefaultOCFRoot.
func Environment(inv Invocation, root string) []string {
	if root == "" {
		root = DefaultOCFRoot
	}
	env := map[string]string{
		"PATH": SearchPath, "LC_ALL": "C", "SHELL": "/bin/sh", "HOME": "/root",
		"OCF_ROOT": root, "OCF_FUNCTIONS_DIR": root + "/lib/heartbeat",
		"OCF_RA_VERSION_MAJOR": "1", "OCF_RA_VERSION_MINOR": "1",
		"OCF_RESOURCE_INSTANCE": inv.Resource, "OCF_RESOURCE_TYPE": inv.Agent.Type,
		// Output goes to standard error, where it is kept with the result.
		"HA_RSCTMP": AgentTemp, "HA_debug": "0", "HA_logfacility": "none", "HA_LOGFACILITY": "none", "HA_LOGD": "no",
		"HA_SBIN_DIR": "/usr/sbin", "HA_cluster_type": "takt", "PCMK_service": "takt",
	}
	if inv.Agent.Provider != "" {
		env["OCF_RESOURCE_PROVIDER"] = inv.Agent.Provider
	}
	for name, value := range inv.Params {
		setKey(env, "OCF_RESKEY_", name, value)
	}
	for name, value := range inv.Meta {
		setKey(env, "OCF_RESKEY_CRM_meta_", strings.ReplaceAll(name, "-", "_"), value)
	}
	// OCF gives the check level without the prefix; agents in the field read both.
	if level, ok := inv.Params["OCF_CHECK_LEVEL"]; ok {
		setKey(env, "", "OCF_CHECK_LEVEL", level)
	}
	env["OCF_RESKEY_CRM_meta_interval"] = milliseconds(inv.Interval)
	env["OCF_RESKEY_CRM_meta_timeout"] = milliseconds(inv.Timeout)
	env["OCF_RESKEY_CRM_meta_name"] = inv.Action
	out := make([]string, 0, len(env))
	for name, value := range env {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// FeatureSet is OCF_RESKEY_crm_feature_set: the Pacemaker whose agents' programs (crm_attribute and its kin) are there.
const FeatureSet = "3.19.0"

// Tools are the programs that agents call: crm_attribute, crm_master, attrd_updater, crm_node.
type Tools struct {
	Folder string // holds links of these names to Takt's binary; "": there are none
	Socket string // of the daemon that they speak to
}

// Into returns an environment in which an agent finds the programs.
func (t Tools) Into(env []string) []string {
	if t.Folder == "" {
		return env
	}
	out := slices.DeleteFunc(env, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return name == "PATH" || name == "HA_SBIN_DIR" || name == "TAKT_SOCKET" || name == "OCF_RESKEY_crm_feature_set"
	})
	out = append(out, "PATH="+t.Folder+":"+SearchPath, "HA_SBIN_DIR="+t.Folder, "TAKT_SOCKET="+t.Socket, "OCF_RESKEY_crm_feature_set="+FeatureSet)
	slices.Sort(out)
	return out
}

// setKey leaves out what an environment cannot hold: a NUL, or = in a name.
func setKey(env map[string]string, prefix, name, value string) {
	if name != "" && !strings.ContainsAny(name, "=\x00") && !strings.Contains(value, "\x00") {
		env[prefix+name] = value
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// FromEnvironment is the inverse of Environment for a program that is called
// as an agent: it reads the resource, its parameters and its meta attributes.
// The action is the program's argument.
func FromEnvironment(environ []string, action string) Invocation {
	inv := Invocation{Action: action, Params: map[string]string{}, Meta: map[string]string{}}
	inv.Agent.Class = "ocf"
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name == "OCF_RESOURCE_INSTANCE":
			inv.Resource = value
		case name == "OCF_RESOURCE_TYPE":
			inv.Agent.Type = value
		case name == "OCF_RESOURCE_PROVIDER":
			inv.Agent.Provider = value
		case name == "OCF_CHECK_LEVEL":
			inv.Params[name] = value
		case name == "OCF_RESKEY_crm_feature_set": // the cluster manager's own word, among the parameters in every call
		case strings.HasPrefix(name, "OCF_RESKEY_CRM_meta_"):
			inv.Meta[strings.TrimPrefix(name, "OCF_RESKEY_CRM_meta_")] = value
		case strings.HasPrefix(name, "OCF_RESKEY_"):
			inv.Params[strings.TrimPrefix(name, "OCF_RESKEY_")] = value
		}
	}
	inv.Interval, inv.Timeout = fromMilliseconds(inv.Meta["interval"]), fromMilliseconds(inv.Meta["timeout"])
	return inv
}

func fromMilliseconds(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > int64(1<<40) {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}
