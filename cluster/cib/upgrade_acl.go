package cib

// acls brings access rules of schema 1.x, users with permissions of their own,
// to targets that have roles.
func (u *upgrader) acls(section *Node) *Node {
	var roles []*Node // of users that had permissions of their own
	up := section.Edited(func(n *Node) *Node {
		switch n.name {
		case "acl_role":
			return n.Edited(permission)
		case "acl_user":
			u.note("access of user %s is that of roles now", n.ID())
			return u.user(n, &roles)
		}
		return n
	})
	if len(roles) > 0 {
		up = up.WithChild(roles...)
	}
	return up
}

// user makes a target of a user. One that has roles has nothing else.
func (u *upgrader) user(n *Node, roles *[]*Node) *Node {
	target := NewNode("acl_target", "id", n.ID())
	target.line = n.line
	role := NewNode("acl_role")
	for c := range n.Elements {
		if c.name == "role_ref" {
			target = target.WithChild(c.named("role"))
			continue
		}
		if p := permission(c); p != c {
			role = role.WithChild(p)
		}
	}
	if len(role.children) == 0 {
		return target
	}
	id := u.freshID("auto-" + n.ID())
	*roles = append(*roles, role.WithAttr("id", id))
	return target.WithChild(NewNode("role", "id", id))
}

// permission brings <read>, <write> and <deny> to <acl_permission kind=…>.
func permission(n *Node) *Node {
	switch n.name {
	case "read", "write", "deny":
	default:
		return n
	}
	p := NewNode("acl_permission", "id", n.ID(), "kind", n.name, "description", n.Attr("description"),
		"object-type", n.Attr("tag"), "reference", n.Attr("ref"), "xpath", n.Attr("xpath"))
	p.line = n.line
	if n.Attr("tag") != "" && n.Attr("attribute") != "" {
		p = p.WithAttr("attribute", n.Attr("attribute"))
	}
	return p
}
