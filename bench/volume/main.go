// Command volume measures volumes beside other servers of block devices.
//
//	go run ./bench/volume serve SOCKET FILE SIZE   # a plain file behind the volume's NBD server
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench/volume:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 || args[0] != "serve" {
		return fmt.Errorf("want: serve SOCKET FILE SIZE")
	}
	size, err := strconv.ParseInt(args[3], 0, 64)
	if err != nil {
		return err
	}
	return serve(args[1], args[2], size)
}
