// berth-logger hands the output of one container to journald or syslog. berthd
// starts it; it is not meant to be run by hand. See package forward.
package main

import (
	"os"

	"github.com/seed-50ced230/berth/impl/runtime/forward"
)

func main() { os.Exit(forward.Main()) }
