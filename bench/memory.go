package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory: what an engine's processes need for one running container, besides
// the container's own (which is the same for all), as proportional set size;
// and the daemon's own size with the containers running.
func memory(ctx context.Context, a *arena, r *report) error {
	var names []string
	perContainer, own := map[string][]float64{}, map[string][]float64{}
	for _, e := range a.engines {
		names = append(names, e.name)
		before, err := companions(e)
		if err != nil {
			return err
		}
		var ids []string
		defer func() {
			for _, id := range ids {
				_ = e.remove(context.WithoutCancel(ctx), id)
			}
		}()
		for range a.running {
			id, err := e.create(ctx, withoutNetwork("sleep", "100000"))
			if err != nil {
				return err
			}
			ids = append(ids, id)
			if err := e.start(ctx, id); err != nil {
				return err
			}
		}
		time.Sleep(2 * time.Second) // what a start needed is given back by then
		after, err := companions(e)
		if err != nil {
			return err
		}
		var sum float64
		for pid := range after {
			if before[pid] {
				continue
			}
			kib, err := pss(pid)
			if err != nil {
				return err
			}
			sum += kib
		}
		perContainer[e.name] = []float64{sum / float64(a.running)}
		kib, err := pss(e.daemon.Pid())
		if err != nil {
			return err
		}
		own[e.name] = []float64{kib / 1024}
	}
	r.add(fmt.Sprintf("memory (PSS) beside each of %d running containers", a.running), "KiB", "less", names, perContainer)
	r.add(fmt.Sprintf("memory (PSS) of the daemon with %d running containers", a.running), "MiB", "less", names, own)
	return nil
}

// companions are the processes that exist per container: those that were told
// of the engine's directory, as every shim is, but for the daemons themselves
// and the containers' processes.
func companions(e *engine) (map[int]bool, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	inside, err := containerProcesses(e)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(e.daemon.Socket()) + "/"
	out := map[int]bool{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == e.daemon.Pid() || pid == os.Getpid() || inside[pid] {
			continue
		}
		command, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err == nil && bytes.Contains(command, []byte(dir)) {
			out[pid] = true
		}
	}
	return out, nil
}

// containerProcesses are the first processes of the running containers.
func containerProcesses(e *engine) (map[int]bool, error) {
	ctx := context.Background()
	var list []struct {
		ID string `json:"Id"`
	}
	if err := e.call(ctx, http.MethodGet, "/containers/json", nil, http.StatusOK, &list); err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for _, c := range list {
		var one struct{ State struct{ Pid int } }
		if err := e.call(ctx, http.MethodGet, "/containers/"+c.ID+"/json", nil, http.StatusOK, &one); err != nil {
			return nil, err
		}
		out[one.State.Pid] = true
	}
	return out, nil
}

// pss is the proportional set size in KiB (proc(5), smaps_rollup): private
// pages, and each shared page divided by the number of those who share it.
func pss(pid int) (float64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 1 && fields[0] == "Pss:" {
			return strconv.ParseFloat(fields[1], 64)
		}
	}
	return 0, fmt.Errorf("process %d has no Pss in smaps_rollup", pid)
}
