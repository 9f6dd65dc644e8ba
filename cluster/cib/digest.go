package cib

import "crypto/sha256"

// Digest identifies the content of a tree: equal trees have equal digests,
// whatever lines they were read from. Two replicas compare it to prove that
// they hold the same document.
//
// It is SHA-256 over the printed element; of the root and its sections, over
// the start tag and the digests of the children. That makes a digest
// composable: see Digester.
func Digest(root *Node) [sha256.Size]byte {
	var d Digester
	return d.Digest(root)
}

// Digester computes digests and remembers those of the subtrees that it saw
// last, so that the digest of a changed tree costs no more than its changed
// sections. The zero value is ready. It is not safe for concurrent use.
type Digester struct {
	last map[place][sha256.Size]byte
	buf  []byte // what is being hashed
}

// place is a subtree and how deep it stands, which decides how its digest is made.
type place struct {
	node  *Node
	level int
}

// digestLevels is how deep digests are composed of digests: the root and its
// sections (configuration, status). Their children (resources, a node's state)
// are hashed whole.
const digestLevels = 2

// Digest returns the same as the function of that name.
func (d *Digester) Digest(root *Node) [sha256.Size]byte {
	seen := make(map[place][sha256.Size]byte, len(d.last))
	sum := d.sum(root, 0, seen)
	d.last = seen
	return sum
}

func (d *Digester) sum(n *Node, level int, seen map[place][sha256.Size]byte) [sha256.Size]byte {
	at := place{n, level}
	if sum, ok := d.last[at]; ok {
		d.keep(n, level, seen)
		return sum
	}
	var sum [sha256.Size]byte
	if n == nil || n.kind != elementKind || level >= digestLevels {
		d.buf = n.Append(d.buf[:0])
		sum = sha256.Sum256(d.buf)
	} else {
		h := sha256.New()
		h.Write(n.appendStart(nil, ">"))
		for _, c := range n.children {
			part := d.sum(c, level+1, seen)
			h.Write(part[:])
		}
		sum = [sha256.Size]byte(h.Sum(nil))
	}
	seen[at] = sum
	return sum
}

// keep carries the digests of an unchanged subtree over.
func (d *Digester) keep(n *Node, level int, seen map[place][sha256.Size]byte) {
	at := place{n, level}
	seen[at] = d.last[at]
	if n == nil || level == digestLevels {
		return
	}
	for _, c := range n.children {
		d.keep(c, level+1, seen)
	}
}
