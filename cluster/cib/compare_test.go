package cib

import "testing"

// TestEqual: elements are equal if they say the same, wherever they stand.
func TestEqual(t *testing.T) {
	one := `<a x="1"><b id="b"/><!-- c --></a>`
	for _, c := range []struct {
		other string
		want  bool
	}{
		{one, true},
		{"\n\n" + one, true},
		{`<a x="2"><b id="b"/><!-- c --></a>`, false},
		{`<a x="1"><b id="c"/><!-- c --></a>`, false},
		{`<a x="1"><b id="b"/></a>`, false},
		{`<c x="1"><b id="b"/><!-- c --></c>`, false},
	} {
		a, err := Parse([]byte(one))
		b, err2 := Parse([]byte(c.other))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if got := Equal(a, b); got != c.want {
			t.Errorf("%q: %v", c.other, got)
		}
	}
	if a := NewNode("a"); Equal(a, nil) || !Equal(nil, nil) {
		t.Error("nil equals only nil")
	}
}

// TestWithChildren: the copy has the children that were given, the original its own.
func TestWithChildren(t *testing.T) {
	a := NewNode("a", "id", "1").WithChild(NewNode("b"))
	if got := a.WithChildren([]*Node{NewNode("c"), NewNode("d")}).String() + a.String(); got != `<a id="1"><c/><d/></a><a id="1"><b/></a>` {
		t.Error(got)
	}
}
