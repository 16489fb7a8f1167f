package clienttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cgroup reads the kernel's files of a container's control groups.
type cgroup struct {
	t *testing.T
	// dirs are the directories by controller; "" is that of the unified hierarchy.
	dirs map[string]string
}

func newCgroup(t *testing.T, pid int) cgroup {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	g := cgroup{t, map[string]string{}}
	for line := range strings.Lines(string(text)) { // cgroups(7): id:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		for name := range strings.SplitSeq(parts[1], ",") {
			g.dirs[name] = filepath.Join("/sys/fs/cgroup", name, parts[2])
		}
	}
	return g
}

// fields reads the first of the files that is there: lines of a name and a number,
// or a number alone, which gets the name "".
func (g cgroup) fields(files ...string) map[string]uint64 {
	g.t.Helper()
	for _, file := range files {
		controller, name, _ := strings.Cut(file, "/")
		text, err := os.ReadFile(filepath.Join(g.dirs[controller], name))
		if err != nil {
			continue
		}
		found := map[string]uint64{}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) == 0 {
				continue
			}
			n, err := strconv.ParseUint(words[len(words)-1], 10, 64)
			if err != nil {
				continue
			}
			found[strings.Join(words[:len(words)-1], " ")] = n
		}
		return found
	}
	g.t.Fatalf("none of %v is there (%v)", files, g.dirs)
	return nil
}

// truth is what the kernel says of a container, under the names of the API.
func (g cgroup) truth(pid int) map[string]uint64 {
	t := map[string]uint64{
		"memory_stats.usage":   g.fields("memory/memory.usage_in_bytes", "/memory.current")[""],
		"memory_stats.failcnt": g.fields("memory/memory.failcnt", "/memory.current")[""],
		"pids_stats.current":   g.fields("pids/pids.current", "/pids.current")[""],
	}
	if _, unified := g.dirs["memory"]; !unified {
		delete(t, "memory_stats.failcnt") // the unified hierarchy does not count it
		t["cpu_stats.cpu_usage.total_usage"] = 1000 * g.fields("/cpu.stat")["usage_usec"]
		stat := g.fields("/memory.stat")
		t["memory_stats.stats.rss"], t["memory_stats.stats.cache"] = stat["anon"], stat["file"]
	} else {
		t["cpu_stats.cpu_usage.total_usage"] = g.fields("cpuacct/cpuacct.usage")[""]
		t["memory_stats.max_usage"] = g.fields("memory/memory.max_usage_in_bytes")[""]
		stat := g.fields("memory/memory.stat")
		for _, name := range []string{"rss", "cache", "pgfault", "total_rss", "total_inactive_anon", "hierarchical_memory_limit"} {
			t["memory_stats.stats."+name] = stat[name]
		}
		for line, n := range g.fields("blkio/blkio.throttle.io_service_bytes_recursive") {
			if words := strings.Fields(line); len(words) == 2 {
				t["blkio "+line] = n
			}
		}
		t["cpu_stats.throttling_data.periods"] = g.fields("cpu/cpu.stat")["nr_periods"]
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		g.t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		name, counters, ok := strings.Cut(s.Text(), ":")
		if words := strings.Fields(counters); ok && strings.TrimSpace(name) == "eth0" {
			for i, field := range map[int]string{0: "rx_bytes", 1: "rx_packets", 8: "tx_bytes", 9: "tx_packets"} {
				t["eth0."+field], _ = strconv.ParseUint(words[i], 10, 64)
			}
		}
	}
	return t
}

// flatten names the numbers of a line of stats by their paths.
func flatten(path string, value any, into map[string]uint64) {
	switch v := value.(type) {
	case json.Number:
		n, _ := strconv.ParseUint(v.String(), 10, 64)
		into[path] = n
	case map[string]any:
		if op, ok := v["op"].(string); ok && strings.Contains(path, "io_service_bytes_recursive") {
			into[fmt.Sprintf("blkio %v:%v %s", v["major"], v["minor"], op)], _ = strconv.ParseUint(fmt.Sprint(v["value"]), 10, 64)
			return
		}
		for name, member := range v {
			if name == "eth0" || name == "network" {
				flatten("eth0", member, into)
				continue
			}
			flatten(strings.TrimPrefix(path+"."+name, "."), member, into)
		}
	case []any:
		for i, member := range v {
			flatten(fmt.Sprintf("%s[%d]", path, i), member, into)
		}
	}
}

// Each number of stats lies between what the kernel's files say before and after.
func TestStatsAgainstKernel(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.run(map[string]any{
			"Cmd":        shell("dd if=/dev/zero of=/big bs=1M count=4 conv=fsync 2>/dev/null; ping -c 1 -w 1 127.0.0.1 >/dev/null; head -c 3000000 /dev/zero | tail -c 2000000 >/dev/null; echo done; exec sleep 1000"),
			"HostConfig": map[string]any{"Memory": 64 << 20, "CpuPeriod": 50000, "CpuQuota": 40000},
		})
		eventually(t, "the work is done", func() bool {
			return strings.Contains(string(a.call(http.MethodGet, "/containers/"+c+"/logs?stdout=1", nil).body), "done")
		})
		pid := int(a.state(c)["Pid"].(float64))
		a.call(http.MethodPost, "/containers/"+c+"/pause", nil) // most of it holds still
		g := newCgroup(t, pid)
		before := g.truth(pid)
		answer, err := a.open(t.Context(), http.MethodGet, "/containers/"+c+"/stats", nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := json.NewDecoder(answer.Body)
		lines.UseNumber()
		var first, second map[string]any
		if err := lines.Decode(&first); err != nil {
			t.Fatal(err)
		}
		after := g.truth(pid)
		got := map[string]uint64{}
		flatten("", first, got)
		for name, low := range before {
			value, there := got[name]
			if name == "pids_stats.current" && !a.since("1.23") {
				if there {
					t.Errorf("%s is there", name)
				}
				continue
			}
			if high := after[name]; !there || value < min(low, high) || value > max(low, high) {
				t.Errorf("%s is %d (there: %v), the kernel says %d, then %d", name, value, there, low, high)
			}
		}
		if limit := got["memory_stats.limit"]; limit != 64<<20 {
			t.Errorf("memory_stats.limit is %d", limit)
		}
		if got["cpu_stats.cpu_usage.total_usage"] == 0 || got["memory_stats.usage"] == 0 {
			t.Errorf("nothing was counted: %v", got)
		}
		var each uint64
		for i := 0; ; i++ {
			n, there := got[fmt.Sprintf("cpu_stats.cpu_usage.percpu_usage[%d]", i)]
			if !there {
				break
			}
			each += n
		}
		if each != got["cpu_stats.cpu_usage.total_usage"] {
			t.Errorf("the processors' time is %d, that of all %d", each, got["cpu_stats.cpu_usage.total_usage"])
		}
		_, one := first["network"]
		_, many := first["networks"]
		if one == a.since("1.21") || many != a.since("1.21") {
			t.Errorf("network: %v, networks: %v", one, many)
		}
		if err := lines.Decode(&second); err != nil {
			t.Fatal(err)
		}
		if now, then := fmt.Sprint(second["precpu_stats"]), fmt.Sprint(first["cpu_stats"]); now != then {
			t.Errorf("precpu_stats of the second line is %s, cpu_stats of the first %s", now, then)
		}
	})
}

// The default of top is what the host's ps -ef says of the same processes.
func TestTopAgainstPs(t *testing.T) {
	forEachVersion(t, "1.18", func(t *testing.T, a *remote) {
		c := a.run(map[string]any{"Cmd": shell("sleep 1000 & exec sleep 2000"), "User": "nobody"})
		type top struct {
			Titles    []string
			Processes [][]string
		}
		read := func(query string) (all top) {
			t.Helper()
			if err := json.Unmarshal(a.call(http.MethodGet, "/containers/"+c+"/top"+query, nil).body, &all); err != nil {
				t.Fatal(err)
			}
			return all
		}
		eventually(t, "both processes run", func() bool {
			all := read("")
			return len(all.Processes) == 2 && !strings.Contains(fmt.Sprint(all), "sh -c") // neither is the shell any more
		})
		byDefault, byPs := read(""), read("?ps_args=-e+-f")
		for _, rows := range [][][]string{byDefault.Processes, byPs.Processes} {
			for _, row := range rows {
				row[3] = "C" // is another a moment later
				// Both know the second of the start only roughly.
				if started, err := time.Parse("15:04", row[4]); err == nil {
					now := time.Now()
					age := now.Hour()*60 + now.Minute() - started.Hour()*60 - started.Minute()
					if (age+24*60)%(24*60) <= 2 || age == -1 {
						row[4] = "now"
					}
				}
			}
		}
		if fmt.Sprint(byDefault) != fmt.Sprint(byPs) {
			t.Errorf("without arguments %v, by ps %v", byDefault, byPs)
		}
		if got := read("?ps_args=-eo+pid,args"); !slices.Equal(got.Titles, []string{"PID", "COMMAND"}) || len(got.Processes) != 2 {
			t.Errorf("-eo pid,args: %v", got)
		}
		a.call(http.MethodGet, "/containers/"+c+"/top?ps_args=-o+comm", nil, http.StatusBadRequest, http.StatusInternalServerError)
		a.call(http.MethodPost, "/containers/"+c+"/kill", nil)
		a.wait(c)
		a.call(http.MethodGet, "/containers/"+c+"/top", nil, http.StatusConflict, http.StatusInternalServerError)
	})
}
