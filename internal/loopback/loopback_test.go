package loopback

import (
	"net"
	"testing"
)

// TestReserve: nobody gets an address twice, nor one where somebody listens; one that is released can be had again.
func TestReserve(t *testing.T) {
	got := map[string]bool{}
	for range 500 { // by chance alone some of them would be the same
		address, release, err := Reserve()
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if got[address] {
			t.Fatalf("%s was given away twice", address)
		}
		got[address] = true
	}
	for address := range got {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		return
	}
}
