// Command makeimage writes the busybox image of this machine to a file, in
// docker save's form. "make build" runs it before it builds berth-quickstart.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-50ced230/berth/testbed/busybox"
)

func main() {
	out := flag.String("o", "busybox.tar", "`file` to write")
	name := flag.String("name", "busybox:latest", "`name` of the image")
	flag.Parse()
	if err := run(*out, *name); err != nil {
		fmt.Fprintln(os.Stderr, "makeimage:", err)
		os.Exit(1)
	}
}

// run writes to a temporary file first: a half-written image is never embedded.
func run(out, name string) error {
	f, err := os.CreateTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := busybox.Archive(f, name); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), out)
}
