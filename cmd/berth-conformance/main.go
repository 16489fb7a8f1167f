// Command berth-conformance asks a daemon of the Docker Remote API everything
// that the documents of versions 1.18 to 1.23 say, and reports what it answers.
//
//	berth-conformance --host unix:///var/run/docker.sock --api 1.18-1.23 --report reports
//
// It exits with status 0 if every case passed or is listed in the file of
// --expected-reds and red there, 1 if not, 2 if it could not run, and 3 if what
// ran passed but cases that MUST pass were left out. Without that list only what
// MUST hold counts.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/seed-50ced230/berth/impl/manual"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(arguments []string, stdout, stderr io.Writer) int {
	o, err := parse(arguments, stderr)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "berth-conformance:", err)
		return 2
	}
	perform := test
	switch {
	case o.manual != "":
		perform = func(o options, w io.Writer) (int, error) { return 0, manual.Write(w, program(o.flags), o.manual) }
	case o.list:
		perform = list
	case o.selfTest:
		perform = selfTest
	}
	status, err := perform(o, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "berth-conformance:", err)
		return 2
	}
	return status
}
