package identity

import "testing"

func TestVolume(t *testing.T) {
	id := &Identity{Node: Node{ClusterID: "00112233445566778899aabbccddeeff"}, ClusterKey: make([]byte, keyLen)}
	a, secret, err := id.Volume("r0")
	if err != nil || len(a) != 2*idLen || len(secret) != 2*keyLen {
		t.Fatalf("got %q, a secret of %d digits, %v", a, len(secret), err)
	}
	again, _, _ := id.Volume("r0")
	other, otherSecret, _ := id.Volume("r1")
	if a != again || a == other || secret == otherSecret || a == secret[:len(a)] {
		t.Error("the same volume differs, or different ones are the same")
	}
	stranger := &Identity{Node: id.Node, ClusterKey: append(make([]byte, keyLen-1), 1)}
	if _, s, _ := stranger.Volume("r0"); s == secret {
		t.Error("another key gives the same secret")
	}
}
