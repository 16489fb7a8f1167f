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
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "run":
			os.Exit(shim.Main())
		case "compile":
			os.Exit(shim.Compile())
		}
	}
	fmt.Fprintln(os.Stderr, "berth-shim is started by berthd")
	os.Exit(2)
}
