package firewall

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A Docker Engine on the same host sets the policy of iptables' FORWARD chain to
// DROP. A table of our own cannot overrule that: a packet must pass all base
// chains. Docker leaves the chain DOCKER-USER, which FORWARD asks first, to
// others; where it exists, Admit puts our devices into it.
const (
	dockerTable = "filter"
	dockerChain = "DOCKER-USER"
)

// dockerFamily is where a Docker Engine has its rules for one IP version.
type dockerFamily struct {
	family nftables.TableFamily
	// legacyTables lists the tables of the older iptables that are in use in the
	// namespace (net/netfilter/x_tables.c), program changes them.
	legacyTables, program string
}

var dockerFamilies = [...]dockerFamily{
	{nftables.TableFamilyIPv4, "/proc/net/ip_tables_names", "iptables"},
	{nftables.TableFamilyIPv6, "/proc/net/ip6_tables_names", "ip6tables"},
}

// admission is one rule of DOCKER-USER in the form that iptables can read too.
type admission struct {
	in, out string // a device; "x+" is every device whose name begins with x
	verdict expr.VerdictKind
}

// admissions let packets of devices pass, but not into Docker's own networks
// (docker0, br-…), about which Docker's rules decide. patterns are devices, or
// "x+" as in admission.
func admissions(patterns []string) []admission {
	var list []admission
	for _, p := range patterns {
		list = append(list,
			admission{p, "docker+", expr.VerdictReturn},
			admission{p, "br-+", expr.VerdictReturn},
			admission{p, "", expr.VerdictAccept},
			admission{"", p, expr.VerdictAccept})
	}
	return list
}

// patterns are the devices to admit, sorted: those of the group are one pattern,
// however many they are.
func (t *Table) patterns(only func(Network) bool) []string {
	var list []string
	for _, n := range t.networks {
		switch {
		case !only(n):
		case t.group != "" && strings.HasPrefix(n.Device, t.group):
			list = append(list, t.group+"+")
		default:
			list = append(list, n.Device)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Admit lets the networks' packets pass a Docker Engine's firewall, if there is
// one. It changes nothing when they pass already.
func (t *Table) Admit() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, f := range dockerFamilies {
		wanted := admissions(t.patterns(func(n Network) bool {
			return f.family == nftables.TableFamilyIPv4 || n.Subnet6.IsValid()
		}))
		if len(wanted) == 0 {
			continue
		}
		err := t.transact(func(conn *nftables.Conn) error { return admit(conn, f.family, wanted) })
		if err != nil && !errors.Is(err, unix.ENOENT) { // the chain went meanwhile
			errs = append(errs, fmt.Errorf("admit networks in nftables chain %s: %w", dockerChain, err))
		}
		errs = append(errs, f.admitLegacy(wanted))
	}
	return errors.Join(errs...)
}

// admit puts the rules at the head of the chain unless all are in it.
func admit(conn *nftables.Conn, family nftables.TableFamily, wanted []admission) error {
	table := &nftables.Table{Name: dockerTable, Family: family}
	chains, err := conn.ListChainsOfTableFamily(table.Family)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(chains, func(c *nftables.Chain) bool {
		return c.Table.Name == dockerTable && c.Name == dockerChain
	})
	if i < 0 {
		return nil
	}
	chain := chains[i]
	rules, err := conn.GetRules(table, chain)
	if err != nil {
		return err
	}
	ours := make(map[string]bool)
	for _, a := range wanted {
		ours[signature(a.exprs())] = true
	}
	found := make(map[string]bool)
	var old []*nftables.Rule
	for _, r := range rules {
		if s := signature(r.Exprs); ours[s] {
			found[s] = true
			old = append(old, r)
		}
	}
	if len(found) == len(ours) {
		return nil
	}
	for _, r := range old {
		r.Table, r.Chain = table, chain
		if err := conn.DelRule(r); err != nil {
			return err
		}
	}
	for i := len(wanted) - 1; i >= 0; i-- { // each goes before the last
		conn.InsertRule(&nftables.Rule{Table: table, Chain: chain, Exprs: wanted[i].exprs()})
	}
	return nil
}

// exprs writes the rule as iptables-nft would, so that iptables can show it.
func (a admission) exprs() []expr.Any {
	var exprs []expr.Any
	match := func(key expr.MetaKey, name string) {
		data := append([]byte(name), 0)
		if prefix, ok := strings.CutSuffix(name, "+"); ok {
			data = []byte(prefix)
		}
		exprs = append(exprs, &expr.Meta{Key: key, Register: reg},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: data})
	}
	if a.in != "" {
		match(expr.MetaKeyIIFNAME, a.in)
	}
	if a.out != "" {
		match(expr.MetaKeyOIFNAME, a.out)
	}
	return append(exprs, &expr.Counter{}, &expr.Verdict{Kind: a.verdict})
}

// signature is what two rules that do the same have in common.
func signature(exprs []expr.Any) string {
	var b strings.Builder
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Counter:
		case *expr.Meta:
			fmt.Fprintf(&b, "meta %d;", e.Key)
		case *expr.Cmp:
			fmt.Fprintf(&b, "cmp %d %q;", e.Op, bytes.TrimRight(e.Data, "\x00"))
		case *expr.Verdict:
			fmt.Fprintf(&b, "verdict %d %s;", e.Kind, e.Chain)
		default:
			fmt.Fprintf(&b, "%T;", e)
		}
	}
	return b.String()
}

// admitLegacy does the same where Docker uses the older iptables, whose rules
// only its own program can change.
func (f dockerFamily) admitLegacy(wanted []admission) error {
	names, err := os.ReadFile(f.legacyTables)
	if err != nil || !strings.Contains("\n"+string(names), "\n"+dockerTable+"\n") {
		return nil // not in use, or not in this kernel
	}
	program, err := exec.LookPath(f.program + "-legacy")
	if err != nil {
		if program, err = exec.LookPath(f.program); err != nil {
			return nil // then no Docker Engine works here either
		}
	}
	list, err := exec.Command(program, "-w", "-S", dockerChain).Output()
	if err != nil {
		return nil // no such chain
	}
	have := make(map[string]bool)
	for line := range strings.Lines(string(list)) {
		have[strings.TrimSpace(line)] = true
	}
	missing := false
	for _, a := range wanted {
		missing = missing || !have["-A "+dockerChain+" "+strings.Join(a.args(), " ")]
	}
	if !missing {
		return nil
	}
	for i := len(wanted) - 1; i >= 0; i-- {
		args := wanted[i].args()
		if have["-A "+dockerChain+" "+strings.Join(args, " ")] {
			if out, err := exec.Command(program, append([]string{"-w", "-D", dockerChain}, args...)...).CombinedOutput(); err != nil {
				return fmt.Errorf("move rule in chain %s: %w: %s", dockerChain, err, bytes.TrimSpace(out))
			}
		}
		if out, err := exec.Command(program, append([]string{"-w", "-I", dockerChain}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("add rule to chain %s: %w: %s", dockerChain, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// args writes the rule in iptables' words, in the order in which it lists them.
func (a admission) args() []string {
	var args []string
	if a.in != "" {
		args = append(args, "-i", a.in)
	}
	if a.out != "" {
		args = append(args, "-o", a.out)
	}
	target := "ACCEPT"
	if a.verdict == expr.VerdictReturn {
		target = "RETURN"
	}
	return append(args, "-j", target)
}
