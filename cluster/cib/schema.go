package cib

// The schema is what Takt knows of the CIB's elements: where they stand, their
// attributes with the type of each, and what they cannot be without. It covers
// Pacemaker's schemas 1.x to 3.x ("Pacemaker Explained"). The status section is
// written by the cluster itself and is not described.
//
// What is not in the table is kept as it is: an element or attribute that
// nobody knows is no error, unless its name is so near to a known one that it
// must be a slip.

// element is what is known of the elements of one name.
type element struct {
	attrs    []attrRule
	children []string
	once     []string // of the children: those that stand here at most once
	needs    []need
}

// attrRule is one attribute. Names of required ones are given with "!" behind.
type attrRule struct {
	name string
	typ  attrType
}

// need is a group of things of which one must be there: "@name" is an
// attribute, "name" a child element, and "@a+@b" is both together. An element
// with id-ref borrows its content and needs nothing.
type need struct {
	anyOf []string
	why   string // a full sentence for who wrote the document
}

// Sets of attributes and children that several elements share.
var (
	idAttr     = attrRule{"id!", idType}
	idRefAttr  = attrRule{"id-ref", idRefType}
	descAttr   = attrRule{"description", textType}
	setElement = element{
		attrs:    []attrRule{{"id", idType}, idRefAttr, {"score", scoreType}},
		children: []string{"rule", "nvpair"},
		needs:    idNeed,
	}
	idNeed          = []need{{[]string{"@id"}, "Each element that can be referred to has an id."}}
	resourceSets    = []string{"meta_attributes", "instance_attributes"}
	containerAttrs  = []attrRule{{"image!", textType}, {"replicas", countType}, {"replicas-per-host", countType}, {"masters", countType}, {"promoted-max", countType}, {"run-command", textType}, {"network", textType}, {"options", textType}}
	defaultsElement = element{children: []string{"meta_attributes"}}
	targetElement   = element{attrs: []attrRule{idAttr, {"name", textType}}, children: []string{"role"}}
	agentAttrs      = []attrRule{idAttr, descAttr, {"class", classType}, {"provider", textType}, {"type", textType}}
	oldPermission   = element{attrs: []attrRule{idAttr, {"ref", textType}, {"tag", textType}, {"xpath", textType}, {"attribute", textType}}}
)

var schema = map[string]element{
	"cib": {
		attrs: []attrRule{{"admin_epoch", countType}, {"epoch", countType}, {"num_updates", countType},
			{"validate-with", textType}, {"crm_feature_set", textType}, {"cib-last-written", textType}, {"update-origin", textType},
			{"update-client", textType}, {"update-user", textType}, {"have-quorum", boolType}, {"dc-uuid", textType},
			{"no-quorum-panic", boolType}, {"remote-tls-port", countType}, {"remote-clear-port", countType}, {"execution-date", textType}},
		children: []string{"configuration", "status"}, once: []string{"configuration", "status"},
		needs: []need{{[]string{"configuration"}, "Add <configuration>, which may be empty."}},
	},
	"configuration": {
		children: []string{"crm_config", "nodes", "resources", "constraints", "rsc_defaults", "op_defaults", "tags", "acls", "alerts", "fencing-topology"},
		once:     []string{"crm_config", "nodes", "resources", "constraints", "rsc_defaults", "op_defaults", "tags", "acls", "alerts", "fencing-topology"},
	},

	// Options and nodes.
	"crm_config":           {children: []string{"cluster_property_set"}},
	"cluster_property_set": setElement,
	"rsc_defaults":         defaultsElement,
	"op_defaults":          defaultsElement,
	"nodes":                {children: []string{"node"}},
	"node": {
		attrs: []attrRule{idAttr, {"uname", textType}, {"type", enum("member", "remote", "ping", "normal")}, {"score", scoreType}, descAttr},
		// uname may be absent of remote nodes alone, whose id is their name
		children: []string{"instance_attributes", "utilization"},
	},

	// Sets of names and values.
	"instance_attributes": setElement,
	"meta_attributes":     setElement,
	"utilization":         setElement,
	"nvpair": {
		attrs: []attrRule{{"id", idType}, idRefAttr, {"name", textType}, {"value", textType}},
		needs: []need{{[]string{"@id"}, "Each nvpair has an id."}, {[]string{"@name"}, "Say which parameter it sets."}},
	},

	// Resources.
	"resources": {children: []string{"primitive", "group", "clone", "master", "bundle", "template"}},
	"primitive": {
		attrs:    append(agentAttrs[:len(agentAttrs):len(agentAttrs)], attrRule{"template", templateType}),
		children: []string{"meta_attributes", "instance_attributes", "utilization", "operations"},
		once:     []string{"operations"},
		needs:    []need{{[]string{"@class+@type", "@template"}, `Say what runs it, as in class="ocf" provider="heartbeat" type="IPaddr2", or name a template.`}},
	},
	"template": {
		attrs:    append(agentAttrs[:len(agentAttrs):len(agentAttrs)], attrRule{"template", noTemplateType}),
		children: []string{"meta_attributes", "instance_attributes", "utilization", "operations"},
		once:     []string{"operations"},
		needs:    []need{{[]string{"@class+@type"}, `Say what runs its resources, as in class="ocf" provider="heartbeat" type="IPaddr2".`}},
	},
	"group": {
		attrs:    []attrRule{idAttr, descAttr},
		children: append(resourceSets[:2:2], "primitive"),
		needs:    []need{{[]string{"primitive"}, "A group has at least one member: add a <primitive>, or remove the group."}},
	},
	"clone":  cloneElement,
	"master": cloneElement,
	"bundle": {
		attrs:    []attrRule{idAttr, descAttr},
		children: append(resourceSets[:2:2], "docker", "podman", "rkt", "network", "storage", "primitive"),
		once:     []string{"docker", "podman", "rkt", "network", "storage", "primitive"},
		needs:    []need{{[]string{"docker", "podman", "rkt"}, "Say what runs the containers: add <podman> or <docker>."}},
	},
	"docker": {attrs: containerAttrs}, "podman": {attrs: containerAttrs}, "rkt": {attrs: containerAttrs},
	"network": {
		attrs:    []attrRule{{"ip-range-start", textType}, {"control-port", countType}, {"host-interface", textType}, {"host-netmask", countType}, {"add-host", boolType}},
		children: []string{"port-mapping"},
	},
	"port-mapping": {
		attrs: []attrRule{idAttr, {"port", countType}, {"internal-port", countType}, {"range", textType}},
		needs: []need{{[]string{"@port", "@range"}, "Give a port or a range of ports."}},
	},
	"storage": {children: []string{"storage-mapping"}},
	"storage-mapping": {
		attrs: []attrRule{idAttr, {"source-dir", textType}, {"source-dir-root", textType}, {"target-dir!", textType}, {"options", textType}},
		needs: []need{{[]string{"@source-dir", "@source-dir-root"}, "Say which folder of the host it is."}},
	},
	"operations": {attrs: []attrRule{{"id", idType}, idRefAttr}, children: []string{"op"}},
	"op": {
		attrs: []attrRule{{"id", idType}, idRefAttr, {"name", textType}, {"interval", durationType}, {"timeout", timeoutType}, {"start-delay", durationType},
			{"interval-origin", textType}, {"role", roleType}, {"on-fail", enum("ignore", "block", "stop", "restart", "standby", "fence", "restart-container", "demote", "nothing")},
			{"enabled", boolType}, {"record-pending", boolType}, {"requires", enum("nothing", "quorum", "fencing", "unfencing")}, {"on_fail", textType}, descAttr},
		children: resourceSets,
		needs:    []need{{[]string{"@id"}, "Each operation has an id."}, {[]string{"@name"}, "Say which operation it is, such as monitor."}, {[]string{"@interval"}, `Give an interval; interval="0" is an operation that does not recur.`}},
	},

	// Constraints.
	"constraints": {children: []string{"rsc_location", "rsc_colocation", "rsc_order", "rsc_ticket"}},
	"rsc_location": {
		attrs: []attrRule{idAttr, {"rsc", resourceType}, {"rsc-pattern", patternType}, {"role", roleType}, {"node", textType}, {"score", scoreType},
			{"resource-discovery", enum("always", "never", "exclusive")}},
		children: []string{"resource_set", "rule", "lifetime"},
		needs: []need{
			{[]string{"@rsc", "@rsc-pattern", "resource_set"}, "Say which resource it is about: rsc, rsc-pattern, or a <resource_set>."},
			{[]string{"@node+@score", "rule"}, "Say where: node and score, or a <rule>."}},
	},
	"rsc_colocation": {
		attrs: []attrRule{idAttr, {"rsc", resourceType}, {"with-rsc", resourceType}, {"rsc-role", roleType}, {"with-rsc-role", roleType}, {"score", scoreType},
			{"score-attribute", textType}, {"score-attribute-mangle", textType}, {"node-attribute", textType}, {"influence", softBoolType},
			{"rsc-instance", countType}, {"with-rsc-instance", countType}},
		children: []string{"resource_set", "lifetime"},
		needs:    []need{{[]string{"@rsc+@with-rsc", "resource_set"}, "Say which resources: rsc and with-rsc, or <resource_set>s."}},
	},
	"rsc_order": {
		attrs: []attrRule{idAttr, {"first", resourceType}, {"then", resourceType}, {"first-action", actionType}, {"then-action", actionType},
			{"kind", enum("Optional", "Mandatory", "Serialize")}, {"score", scoreType}, {"symmetrical", boolType}, {"require-all", boolType},
			{"first-instance", countType}, {"then-instance", countType}},
		children: []string{"resource_set", "lifetime"},
		needs:    []need{{[]string{"@first+@then", "resource_set"}, "Say which resources: first and then, or <resource_set>s."}},
	},
	"rsc_ticket": {
		attrs:    []attrRule{idAttr, {"rsc", resourceType}, {"rsc-role", roleType}, {"ticket!", textType}, {"loss-policy", enum("stop", "demote", "fence", "freeze")}},
		children: []string{"resource_set"},
		needs:    []need{{[]string{"@rsc", "resource_set"}, "Say which resource depends on the ticket: rsc, or a <resource_set>."}},
	},
	"resource_set": {
		attrs: []attrRule{{"id", idType}, idRefAttr, {"sequential", boolType}, {"require-all", boolType}, {"ordering", enum("group", "listed")},
			{"action", actionType}, {"role", roleType}, {"score", scoreType}, {"kind", enum("Optional", "Mandatory", "Serialize")}},
		children: []string{"resource_ref"},
		needs:    []need{{[]string{"@id"}, "Each resource_set has an id."}, {[]string{"resource_ref"}, "Name its resources, each as a <resource_ref>."}},
	},
	"resource_ref": {attrs: []attrRule{{"id!", resourceType}}},
	"lifetime":     {children: []string{"rule"}},

	// Rules.
	"rule": {
		attrs: []attrRule{{"id", idType}, idRefAttr, {"score", scoreType}, {"score-attribute", textType}, {"score-attribute-mangle", textType},
			{"boolean-op", enum("and", "or")}, {"role", roleType}},
		children: []string{"expression", "date_expression", "rsc_expression", "op_expression", "rule"},
		needs: []need{{[]string{"@id"}, "Each rule has an id."},
			{[]string{"expression", "date_expression", "rsc_expression", "op_expression", "rule"}, "A rule has at least one expression."}},
	},
	"expression": {
		attrs: []attrRule{idAttr, {"attribute!", textType}, {"operation!", enum("lt", "gt", "lte", "gte", "eq", "ne", "defined", "not_defined")}, {"value", textType},
			{"type", enum("string", "integer", "number", "version")}, {"value-source", enum("literal", "param", "meta")}},
	},
	"date_expression": {
		attrs:    []attrRule{idAttr, {"operation", enum("lt", "gt", "in_range", "date_spec", "in-range", "date-spec", "eq", "neq")}, {"start", textType}, {"end", textType}},
		children: []string{"date_spec", "duration"}, once: []string{"date_spec", "duration"},
	},
	"date_spec":      {attrs: dateFields},
	"duration":       {attrs: dateFields},
	"rsc_expression": {attrs: []attrRule{idAttr, {"class", textType}, {"provider", textType}, {"type", textType}}},
	"op_expression":  {attrs: []attrRule{idAttr, {"name!", textType}, {"interval", durationType}}},

	// Fencing levels, tags, alerts, access.
	"fencing-topology": {children: []string{"fencing-level"}},
	"fencing-level": {
		attrs: []attrRule{idAttr, {"index!", countType}, {"devices!", textType}, {"target", textType}, {"target-pattern", patternType},
			{"target-attribute", textType}, {"target-value", textType}},
		needs: []need{{[]string{"@target", "@target-pattern", "@target-attribute+@target-value"}, "Say which node it fences: target, target-pattern, or target-attribute and target-value."}},
	},
	"tags":       {children: []string{"tag"}},
	"tag":        {attrs: []attrRule{idAttr}, children: []string{"obj_ref"}, needs: []need{{[]string{"obj_ref"}, "Name what is tagged, each as an <obj_ref>."}}},
	"obj_ref":    {attrs: []attrRule{{"id!", anyRefType}}},
	"alerts":     {children: []string{"alert"}},
	"alert":      {attrs: []attrRule{idAttr, descAttr, {"path!", textType}}, children: append(resourceSets[:2:2], "select", "recipient")},
	"recipient":  {attrs: []attrRule{idAttr, descAttr, {"value!", textType}}, children: resourceSets},
	"select":     {children: []string{"select_nodes", "select_fencing", "select_resources", "select_attributes"}},
	"acls":       {children: []string{"acl_target", "acl_group", "acl_role", "acl_user"}},
	"acl_target": targetElement, "acl_group": targetElement,
	"acl_role": {attrs: []attrRule{idAttr, descAttr}, children: []string{"acl_permission", "read", "write", "deny"}},
	"acl_user": {attrs: []attrRule{idAttr}, children: []string{"role_ref", "read", "write", "deny"}},
	"role":     {attrs: []attrRule{{"id!", aclRoleType}}},
	"role_ref": {attrs: []attrRule{{"id!", aclRoleType}}},
	"read":     oldPermission, "write": oldPermission, "deny": oldPermission,
	"acl_permission": {
		attrs: []attrRule{idAttr, descAttr, {"kind!", enum("read", "write", "deny")}, {"xpath", xpathType}, {"reference", textType}, {"object-type", textType}, {"attribute", textType}},
		needs: []need{{[]string{"@xpath", "@reference", "@object-type"}, "Say what it covers: xpath, reference or object-type."}},
	},
}

var cloneElement = element{
	attrs:    []attrRule{idAttr, descAttr},
	children: append(resourceSets[:2:2], "primitive", "group"),
	once:     []string{"primitive", "group"},
	needs:    []need{{[]string{"primitive", "group"}, "A clone has one <primitive> or <group> in it."}},
}

var dateFields = []attrRule{{"id", idType}, {"hours", textType}, {"monthdays", textType}, {"weekdays", textType}, {"yearsdays", textType}, {"yeardays", textType}, {"months", textType},
	{"weeks", textType}, {"years", textType}, {"weekyears", textType}, {"moon", textType}, {"minutes", textType}, {"seconds", textType}, {"days", textType}}
