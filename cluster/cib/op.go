package cib

// OpKind is what an Op does.
type OpKind string

// The kinds.
const (
	Create  OpKind = "create"  // append XML under the element that Path names
	Modify  OpKind = "modify"  // set attributes and merge children (by name and id) of XML into the element; creates nothing above it
	Replace OpKind = "replace" // put XML in the place of the element; appended under Parent where there was none and Parent is set
	Delete  OpKind = "delete"  // remove the element; that it is absent already is no error if Optional
)

// Op is one change of a CIB. Exactly one of ID and Path names the element.
type Op struct {
	Kind     OpKind `json:"kind"`
	ID       string `json:"id,omitempty"`       // the element with this id, anywhere in the configuration
	Path     string `json:"path,omitempty"`     // XPath 1.0 that selects exactly one element
	Parent   string `json:"parent,omitempty"`   // Replace: XPath of where to append if the element is absent
	XML      string `json:"xml,omitempty"`      // the new element
	Optional bool   `json:"optional,omitempty"` // Delete, Modify: no error if the element is absent
}
