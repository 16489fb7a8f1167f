// Command berth-docs writes the documentation of the API as static files.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/seed-50ced230/berth/impl/docs"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "berth-docs:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := pflag.NewFlagSet("berth-docs", pflag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintf(os.Stderr, `berth-docs writes the documentation of the Docker Remote API v1.18 to v1.23 as
static files: open index.html in a browser, or put the directory on any web server.

Usage:
  berth-docs [flags]

Example:
  berth-docs --output site --conformance reports/conformance/report.json

Flags:
%s`, flags.FlagUsages())
	}
	output := flags.StringP("output", "o", "build/docs", "directory to write to; it is made if it is missing")
	report := flags.String("conformance", "", "report.json of berth-conformance, to show beside each operation")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: see berth-docs --help", flags.Arg(0))
	}
	var options docs.Options
	if *report != "" {
		found, err := docs.OpenConformance(*report)
		if err != nil {
			return err
		}
		options.Conformance = found
	}
	site, err := docs.New(options)
	if err != nil {
		return err
	}
	if err := site.Write(*output); err != nil {
		return err
	}
	fmt.Printf("%d files in %s\n", len(site.Names()), *output)
	return nil
}
