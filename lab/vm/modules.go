package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

type module struct {
	name string
	data []byte
}

// Network are the modules for tests of networks: balancers, tunnels, interfaces of every kind, rules and connections.
var Network = []string{"ip_vs*", "nf_conntrack", "nf_conntrack_netlink", "nf_tables", "nft_chain_nat", "nft_ct", "nft_fib_inet", "nft_hash", "nft_limit", "nft_log", "nft_masq", "nft_nat",
	"nft_numgen", "nft_objref", "nft_redir", "nft_reject_inet", "ipip", "ip6_tunnel", "sit", "ip_gre", "ip6_gre", "fou", "fou6", "dummy", "veth", "bridge", "macvlan", "bonding", "8021q", "nbd"}

// basis are the modules by which the guest reaches the host's files, and a checksum that others want without saying so.
var basis = []string{"virtio_pci", "9pnet_virtio", "9p", "overlay", "crc32c_generic"}

// moduleOrder finds the modules and puts each behind those that it depends on.
func moduleOrder(root string, names []string) (order []module, err error) {
	files := map[string]string{}
	err = filepath.WalkDir(filepath.Join(root, "lib/modules"), func(path string, _ os.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var visit func(name string) error
	visit = func(name string) error {
		path, known := files[name]
		if !known || slices.ContainsFunc(order, func(m module) bool { return m.name == name }) {
			return nil
		}
		data, err := readModule(path)
		if err != nil {
			return err
		}
		needs, err := dependencies(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, n := range needs {
			if err := visit(n); err != nil {
				return err
			}
		}
		order = append(order, module{name, data})
		return nil
	}
	for _, name := range slices.Concat(basis, names) {
		for _, name := range matches(name, files) {
			if err := visit(name); err != nil {
				return nil, err
			}
		}
	}
	return order, nil
}

// matches are the modules that a name with or without a "*" at its end means.
func matches(name string, files map[string]string) (names []string) {
	begin, any := strings.CutSuffix(strings.ReplaceAll(name, "-", "_"), "*")
	if !any {
		return []string{begin}
	}
	for have := range files {
		if strings.HasPrefix(have, begin) {
			names = append(names, have)
		}
	}
	slices.Sort(names)
	return names
}

func readModule(path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return exec.Command("xz", "-dc", path).Output()
	}
	return os.ReadFile(path)
}

// dependencies reads what a module needs from its own words.
func dependencies(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	s := f.Section(".modinfo")
	if s == nil {
		return nil, errors.New("no .modinfo")
	}
	info, err := s.Data()
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Split(string(info), "\x00") {
		if list, ok := strings.CutPrefix(word, "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
