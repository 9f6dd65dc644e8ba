package rule

import "github.com/takt-ha/takt/cluster/cib"

// Dependence says what an answer depends on, so that a caller knows what it may
// keep. The zero value depends on the document alone.
type Dependence uint8

// What an answer can depend on.
const (
	OnNode  Dependence = 1 << iota // the node's attributes, and whether there is a node
	OnTime                         // the date
	OnRole                         // the resource's role
	OnAgent                        // the resource's agent
	OnOp                           // the operation
	OnMatch                        // the resource of a location constraint
)

// Depends says what the merging of owner's sets named tag depends on. view
// resolves references; nil resolves none.
func Depends(view *cib.View, owner *cib.Node, tag string) Dependence {
	c := Context{View: view}
	var all Dependence
	for e := range owner.Elements {
		if e.Name() != tag {
			continue
		}
		for r := range c.deref(e).Elements {
			if r.Name() == "rule" {
				all |= c.depends(r)
			}
		}
	}
	return all
}

// DependsRule says what a rule depends on.
func DependsRule(view *cib.View, rule *cib.Node) Dependence {
	c := Context{View: view}
	return c.depends(rule)
}

func (c *Context) depends(rule *cib.Node) Dependence {
	if !c.enter() {
		return 0
	}
	defer c.leave()
	var all Dependence
	for e := range c.deref(rule).Elements {
		switch e.Name() {
		case "rule":
			all |= c.depends(e)
		case "expression":
			all |= dependsExpression(e)
		case "date_expression":
			all |= OnTime
		case "rsc_expression":
			all |= OnAgent
		case "op_expression":
			all |= OnOp
		}
	}
	return all
}
