package main

import (
	"github.com/spf13/pflag"

	"github.com/seed-50ced230/berth/impl/manual"
)

// program describes the command for its help and its manual.
func program(flags *pflag.FlagSet) manual.Program {
	return manual.Program{
		Name: "berth-conformance", Section: 1, Summary: "a test of daemons of the Docker Remote API against the documents of v1.18 to v1.23",
		Main: manual.Command{
			Usage: []string{"berth-conformance [flags]"},
			About: []string{
				"It asks a daemon everything that the documents of versions 1.18 to 1.23 say, and reports what it answers.",
				"Verdicts: pass; fail (the daemon did something else); unsupported (it says 501 or refuses the version); blocked (a precondition could not be built); suite error (the suite is wrong).",
			},
			Flags: flags,
			Examples: []manual.Item{
				{Term: "berth-conformance -H unix:///var/run/docker.sock --api 1.23 --report reports/docker"},
				{Term: "berth-conformance -H tcp://127.0.0.1:2376 --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem"},
				{Term: "berth-conformance -H unix:///run/berth.sock --reference unix:///var/run/docker.sock --report reports"},
				{Term: "berth-conformance --list --label-filter 'v1.21 && stream'"},
			},
			Exit: []manual.Item{
				{Term: "0", Text: "all cases that MUST pass did; with --expected-reds: exactly the listed ones are red"},
				{Term: "1", Text: "some did not"},
				{Term: "2", Text: "the suite could not run"},
				{Term: "3", Text: `all that ran passed, but cases that MUST pass were left out: the result is "partial"`},
			},
		},
		Commands: []manual.Command{{
			Name: "manual", Summary: "print the man page or a shell's completions",
			Usage:     []string{"berth-conformance manual [man|markdown|bash|zsh|fish]"},
			Arguments: manual.Formats(),
		}},
		Paths:   []string{"report", "expected-reds", "busybox", "tlscacert", "tlscert", "tlskey"},
		SeeAlso: []string{"berthd(8)"},
	}
}
