// berth-shim is the parent of one container or exec. berthd starts it; it is
// not meant to be run by hand. See package runtime.
package main

import (
	"fmt"
	"os"

	"github.com/seed-50ced230/berth/impl/runtime/shim"
)

func init() { shim.Init() }

func main() {
	if len(os.Args) != 2 || os.Args[1] != "run" {
		fmt.Fprintln(os.Stderr, "berth-shim is started by berthd")
		os.Exit(2)
	}
	os.Exit(shim.Main())
}
