package cib

import (
	"slices"
	"testing"
)

func TestVolumeSets(t *testing.T) {
	root, err := Parse([]byte(`<cib validate-with="pacemaker-3.0" admin_epoch="0" epoch="1" num_updates="0"><configuration>` +
		`<crm_config><cluster_property_set id="options"><nvpair id="o" name="no-quorum-policy" value="stop"/></cluster_property_set></crm_config>` +
		`<nodes/><resources/><constraints/></configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	first := root
	if v, err := VolumeSetOf(root, "r0"); err != nil || v.Version != 0 {
		t.Fatalf("of a new volume: %+v, %v", v, err)
	}
	for i, want := range []VolumeSet{{1, []string{"a", "b"}, "b"}, {2, []string{"a"}, ""}} {
		if root, err = Apply(root, VolumeSetOps(root, "r0", want)); err != nil {
			t.Fatal(err)
		}
		got, err := VolumeSetOf(root, "r0")
		if err != nil || got.Version != want.Version || !slices.Equal(got.Members, want.Members) || got.By != want.By {
			t.Errorf("%d: got %+v, %v", i, got, err)
		}
	}
	if root, err = Apply(root, VolumeSetOps(root, "other", VolumeSet{1, []string{"b", "a"}, "a"})); err != nil {
		t.Fatal(err)
	}
	if v, _ := VolumeSetOf(root, "r0"); v.Version != 2 {
		t.Errorf("another volume's record changed this one's: %+v", v)
	}
	if err := Validate(root); err != nil {
		t.Error(err)
	}
	config := func(n *Node) *Node { return n.Child("configuration") }
	if !SameButVolumes(config(first), config(root)) || SameButVolumes(config(first), NewNode("configuration")) {
		t.Error("records of volumes count as configuration, or configuration does not")
	}
	kept := WithVolumesOf(first.Path("configuration", "crm_config"), root.Path("configuration", "crm_config"))
	if volumesOf(kept) == nil || WithVolumesOf(kept, kept) != kept {
		t.Errorf("got %s", kept)
	}
	damaged, _ := Apply(root, []Op{{Kind: Modify, Path: "//nvpair[@name='takt-volume-r0']", XML: `<nvpair id="takt-volumes-r0" value="x:a"/>`}})
	if _, err := VolumeSetOf(damaged, "r0"); err == nil {
		t.Error("a damaged record is taken for none")
	}
}
