// Command coverage tells, for each version of the API, which operations the
// engine carries out, which it carries out in part, and which it answers with
// 501 (not implemented).
//
// An engine embeds the generated hub.Unimplemented, whose methods answer 501:
// an operation whose method the engine still has from there is not there. An
// operation is there in part when a method of the engine that serves it calls
// fault.Unimplemented itself for something that it was asked.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/seed-50ced230/berth/tools/document"
)

func main() {
	root := flag.String("root", ".", "`directory` of the module")
	strict := flag.Bool("strict", false, "fail if an operation is missing")
	flag.Parse()
	missing, err := run(*root, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "coverage:", err)
		os.Exit(2)
	}
	if *strict && missing > 0 {
		os.Exit(1)
	}
}

func run(root string, out io.Writer) (missing int, err error) {
	status, err := inspect(root)
	if err != nil {
		return 0, err
	}
	paths, err := filepath.Glob(filepath.Join(root, "spec", "v1.*.json"))
	if err != nil {
		return 0, err
	}
	sort.Strings(paths)
	fmt.Fprintf(out, "%-8s%12s%10s%10s%10s\n", "version", "operations", "there", "in part", "missing")
	lacking := map[string][]string{} // operation → versions
	total := [4]int{}
	for _, path := range paths {
		doc, err := document.Load(path)
		if err != nil {
			return 0, err
		}
		version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "v"), ".json")
		count := [4]int{}
		for _, op := range document.Operations(doc) {
			s, ok := status[op.ID]
			if !ok {
				return 0, fmt.Errorf("v%s: the interface has no method for %s", version, op.ID)
			}
			count[0]++
			switch {
			case s.missing:
				count[3]++
				lacking[op.ID] = append(lacking[op.ID], version)
			case len(s.partly) > 0:
				count[2]++
			default:
				count[1]++
			}
		}
		fmt.Fprintf(out, "%-8s%12d%10d%10d%10d\n", version, count[0], count[1], count[2], count[3])
		for i := range total {
			total[i] += count[i]
		}
	}
	fmt.Fprintf(out, "%-8s%12d%10d%10d%10d\n", "all", total[0], total[1], total[2], total[3])
	section(out, "Missing (501):", lacking)
	inPart := map[string][]string{}
	for id, s := range status {
		if !s.missing && len(s.partly) > 0 {
			inPart[id] = s.partly
		}
	}
	section(out, "In part (501 for some requests), and where:", inPart)
	return total[3], nil
}

func section(out io.Writer, title string, rows map[string][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", title)
	ids := make([]string, 0, len(rows))
	for id := range rows {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	for _, id := range ids {
		fmt.Fprintf(out, "  %-26s%s\n", id, strings.Join(rows[id], " "))
	}
}
