// Package doctor looks whether a host has what the engine needs, and says what to
// do where it has not. It tries things out where that leaves nothing behind (in
// namespaces and directories of its own) and reads the rest from /proc and /sys.
package doctor

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// Level is how grave a finding is.
type Level string

// The levels.
const (
	// OK is in order.
	OK Level = "ok"
	// Warning is something that some containers or clients will miss.
	Warning Level = "warning"
	// Problem keeps the engine from its work.
	Problem Level = "problem"
)

// Finding is one thing that was looked at.
type Finding struct {
	Level Level `json:"level"`
	// Subject is what was looked at ("overlayfs"), Text what was found.
	Subject string `json:"subject"`
	Text    string `json:"text"`
	// Advice says what to do; empty if everything is in order.
	Advice string `json:"advice,omitempty"`
}

// Settings are what the engine is to run with.
type Settings struct {
	// Root is where /proc, /sys, /etc and /run are, empty for "/".
	Root string

	DataRoot, ExecRoot string
	// Databases are the files of records, each with the directories that hold what
	// the records name.
	Databases map[string][]string
	// Hosts are the addresses of the API, in the form of -H; Asides are HOST:PORT by
	// their flags ("metrics-addr").
	Hosts  []string
	Asides map[string]string
	Group  string
	// TLS says that tcp:// has it; CA is empty unless clients need certificates.
	TLS           bool
	Cert, Key, CA string
	AllowPlainTCP bool

	// Remap says that containers get user namespaces.
	Remap bool

	// Bridge is empty if there is no default network.
	Bridge string
	// BridgeIP is zero if the engine chooses.
	BridgeIP   netip.Prefix
	MTU        int
	DNS        []string
	LogDriver  string
	Driver     string // of control groups: cgroupfs or systemd
	Shim       string
	LoggerPath string
}

// Examine looks at everything.
func Examine(s Settings) []Finding {
	e := &examination{Settings: s}
	for _, look := range []func(){
		e.privileges, e.kernel, e.seccomp, e.users, e.cgroups, e.firewall, e.devices,
		e.storage, e.overlay, e.stores, e.bridge, e.resolver, e.listeners, e.certificates, e.programs, e.limits,
	} {
		look()
	}
	return e.found
}

// Worst is the gravest level among findings.
func Worst(found []Finding) Level {
	worst := OK
	for _, f := range found {
		if f.Level == Problem || f.Level == Warning && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

// Print writes findings for people, one line each and one for what to do; quiet
// leaves out what is in order.
func Print(w io.Writer, found []Finding, quiet bool) error {
	var b strings.Builder
	count := map[Level]int{}
	for _, f := range found {
		count[f.Level]++
		if quiet && f.Level == OK {
			continue
		}
		fmt.Fprintf(&b, "%-8s %s: %s\n", f.Level, f.Subject, f.Text)
		if f.Advice != "" {
			fmt.Fprintf(&b, "         → %s\n", f.Advice)
		}
	}
	fmt.Fprintf(&b, "%d in order, %d warnings, %d problems\n", count[OK], count[Warning], count[Problem])
	_, err := io.WriteString(w, b.String())
	return err
}

// examination collects findings.
type examination struct {
	Settings
	found []Finding
	// running says that a daemon serves the data root now; see storage.
	running bool
}

func (e *examination) ok(subject, format string, args ...any) {
	e.add(OK, subject, fmt.Sprintf(format, args...), "")
}

func (e *examination) warn(subject, text, advice string) { e.add(Warning, subject, text, advice) }

func (e *examination) problem(subject, text, advice string) { e.add(Problem, subject, text, advice) }

func (e *examination) add(level Level, subject, text, advice string) {
	e.found = append(e.found, Finding{level, subject, text, advice})
}
