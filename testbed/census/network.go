package census

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// namespaces are the network namespaces that are pinned below the engine's
// directory.
func namespaces(p Place) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line) // proc(5): the root of a namespace's mount is net:[inode]
		if len(f) > 4 && strings.HasPrefix(f[3], "net:[") && within(f[4], p.Dir) {
			out = append(out, "netns "+f[4])
		}
	}
	return out, nil
}

// devices are those that are plugged into the bridge, or all of the engine's
// own namespace.
func devices(p Place) ([]string, error) {
	if p.Netns != "" {
		return inside(p, "device", "ip", "-o", "link")
	}
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range all {
		master, err := os.Readlink(filepath.Join("/sys/class/net", i.Name, "master"))
		if err == nil && filepath.Base(master) == p.Bridge {
			out = append(out, "device "+i.Name)
		}
	}
	return out, nil
}

// addresses are addresses and routes of the engine's own namespace.
func addresses(p Place) ([]string, error) {
	if p.Netns == "" {
		return nil, nil
	}
	out, err := inside(p, "address", "ip", "-o", "address")
	if err != nil {
		return nil, err
	}
	routes, err := inside(p, "route", "ip", "-o", "route", "show", "table", "all")
	return append(out, routes...), err
}

// passing are the parts of ip(8)'s lines that change by themselves: numbers,
// lifetimes, whether a bridge has a carrier, what the kernel gives a bridge
// while it has ports.
var passing = regexp.MustCompile(`^\d+: |@if\d+|<[^>]*>| (state|mtu|qlen|link/\S+|brd|link-netnsid|valid_lft|preferred_lft|pref|metric) \S+| linkdown`)

// inside runs a command in the engine's namespace and gives its lines. What
// belongs to IPv6's automatic addresses of links is left out: it comes and goes
// with the carrier.
func inside(p Place, kind, command string, args ...string) ([]string, error) {
	text, err := exec.Command("nsenter", append([]string{"--net=" + p.Netns, command}, args...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %v: %w", command, args, err)
	}
	var out []string
	for s := bufio.NewScanner(strings.NewReader(string(text))); s.Scan(); {
		if strings.Contains(s.Text(), "fe80:") || strings.Contains(s.Text(), "ff00:") {
			continue
		}
		line := passing.ReplaceAllString(s.Text(), "")
		if kind == "device" {
			line, _, _ = strings.Cut(line, "\\")
		}
		out = append(out, kind+" "+strings.Join(strings.Fields(line), " "))
	}
	return out, nil
}

func rules(p Place) ([]string, error) {
	if p.Netns != "" {
		return inside(p, "nft", "nft", "list", "ruleset")
	}
	tables, err := exec.Command("nft", "list", "tables").Output()
	if err != nil {
		return nil, fmt.Errorf("nft list tables: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(tables)) {
		f := strings.Fields(line) // table FAMILY NAME
		if len(f) != 3 || f[2] != p.Bridge {
			continue
		}
		text, err := exec.Command("nft", "list", "table", f[1], f[2]).Output()
		if err != nil {
			return nil, fmt.Errorf("nft list table %s %s: %w", f[1], f[2], err)
		}
		for rule := range strings.Lines(string(text)) {
			out = append(out, "nft "+f[1]+": "+strings.TrimSpace(rule))
		}
	}
	return out, nil
}
