// Package census counts what a container engine has on the machine: mounts,
// processes, network namespaces, devices and addresses, firewall rules, cgroups,
// files, and its own open descriptors, goroutines and memory. Two counts, before
// and after, show what it has forgotten.
package census

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Place says where an engine works, so that its things can be told from those
// of the machine and of other engines.
type Place struct {
	// Dir holds the engine's data root and exec root. Absolute, without
	// symlinks.
	Dir string
	// Bridge is the device of the default network; the nftables table has the
	// same name.
	Bridge string
	// Netns, if not empty, is the path of a network namespace that belongs to
	// the engine alone: then every device, address, route and rule in it counts.
	Netns string
	// Cgroup is the parent of the containers' cgroups, e.g. "/berthtest0".
	Cgroup string
	// Pid is the engine itself.
	Pid int
	// Depth is how many levels below Dir are counted as files.
	Depth int
	// Stacks, if not empty, is the directory where the engine writes the stacks
	// of its goroutines when it gets SIGUSR1 (goroutines-….txt): then these count.
	Stacks string
}

// Census is what was found: one line for each thing, sorted.
type Census []string

// Take counts now.
func Take(p Place) (Census, error) {
	var c Census
	for _, count := range []func(Place) ([]string, error){mounts, processes, namespaces, devices, addresses, rules, cgroups, files, descriptors, goroutines} {
		lines, err := count(p)
		if err != nil {
			return nil, fmt.Errorf("census: %w", err)
		}
		c = append(c, lines...)
	}
	slices.Sort(c)
	return c, nil
}

// Steady is a census of what stays, of those that take gives: one that was the same
// twice before. What was about to end, such as a device that the kernel takes
// apart aside, is not missed later. It takes ten seconds at most.
func Steady(take func() Census) Census {
	last, same := take(), 0
	for end := time.Now().Add(10 * time.Second); same < 2 && time.Now().Before(end); {
		time.Sleep(300 * time.Millisecond)
		now := take()
		if len(now.Since(last)) == 0 {
			same++
		} else {
			same = 0
		}
		last = now
	}
	return last
}

// Since says what is there now and was not in before ("+ …") and the other way
// round ("- …"); nothing if the two are equal.
func (now Census) Since(before Census) []string {
	count := map[string]int{}
	for _, l := range now {
		count[l]++
	}
	for _, l := range before {
		count[l]--
	}
	var out []string
	for l, n := range count {
		for ; n > 0; n-- {
			out = append(out, "+ "+l)
		}
		for ; n < 0; n++ {
			out = append(out, "- "+l)
		}
	}
	slices.Sort(out)
	return out
}

func mounts(p Place) ([]string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo") // proc(5): field 5 is the mount point
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && within(f[4], p.Dir) {
			out = append(out, "mount "+f[4])
		}
	}
	return out, nil
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// processes are those that name the engine's directory in their arguments or
// have a file in it open, except the engine and this process.
func processes(p Place) ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == p.Pid || pid == os.Getpid() {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue // it ended meanwhile
		}
		text := strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " "))
		if strings.Contains(text, p.Dir+"/") || slices.ContainsFunc(open(pid), func(f string) bool { return within(f, p.Dir) }) {
			out = append(out, fmt.Sprintf("process %d: %s", pid, text))
		}
	}
	return out, nil
}

// open are the targets of a process's descriptors.
func open(pid int) []string {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			out = append(out, target)
		}
	}
	return out
}

// cgroups are looked for in every hierarchy: version 1 has one per controller.
func cgroups(p Place) ([]string, error) {
	if p.Cgroup == "" {
		return nil, nil
	}
	var out []string
	roots, err := filepath.Glob("/sys/fs/cgroup/*" + p.Cgroup)
	if err != nil {
		return nil, err
	}
	for _, root := range append(roots, "/sys/fs/cgroup"+p.Cgroup) {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // gone meanwhile, or not there
			}
			if d.IsDir() && path != root {
				out = append(out, "cgroup "+path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func files(p Place) ([]string, error) {
	var out []string
	err := filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == p.Dir {
			return nil
		}
		// The history of events has two files, of which the second comes with time.
		if !strings.HasSuffix(path, "/data/events/events.1.jsonl") {
			out = append(out, "file "+path)
		}
		if d.IsDir() && strings.Count(path[len(p.Dir):], "/") >= p.Depth {
			return fs.SkipDir
		}
		return nil
	})
	return out, err
}

// descriptors are the engine's open sockets, pipes and files by kind, without one network
// namespace, which berth keeps ready for the next start or not, and without
// the numbers that differ each time.
func descriptors(p Place) ([]string, error) {
	var out []string
	spare := false
	for _, target := range open(p.Pid) {
		kind, _, _ := strings.Cut(target, ":[")
		if kind == "net" && !spare {
			spare = true
			continue
		}
		out = append(out, "descriptor "+strings.TrimSuffix(kind, " (deleted)"))
	}
	return out, nil
}
