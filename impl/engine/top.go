package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
)

// ContainerTop serves GET /containers/(id or name)/top. The default, ps -ef,
// is read from /proc and needs no ps on the host; other arguments run it.
func (e *Engine) ContainerTop(ctx context.Context, p *hub.ContainerTopParams) (*models.ContainerTopResponse, error) {
	c, err := e.containers.Get(p.Name)
	if err != nil {
		return nil, err
	}
	task, err := e.runningTask(c)
	if err != nil {
		return nil, err
	}
	pids, err := task.Pids(ctx)
	if err != nil {
		if _, over := task.Exit(); over {
			return nil, fault.Conflict("Container %s is not running", c.ID)
		}
		return nil, fault.Internal("list the processes of container %s: %w", c.ID, err)
	}
	slices.Sort(pids)
	var top *models.ContainerTopResponse
	if p.PsArgs == "" || p.PsArgs == "-ef" {
		top, err = listProcesses(pids)
	} else {
		top, err = runPs(ctx, strings.Fields(p.PsArgs), pids)
	}
	if err != nil {
		return nil, err
	}
	e.publish(c.Record(), "top", nil)
	return top, nil
}

// runPs runs the host's ps and keeps the lines of the given processes.
func runPs(ctx context.Context, args []string, pids []int) (*models.ContainerTopResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	output, err := osexec.CommandContext(ctx, "ps", args...).Output()
	if err != nil {
		var failed *osexec.ExitError
		switch {
		case errors.Is(err, osexec.ErrNotFound):
			return nil, fault.Unavailable("ps_args needs the program ps on the host; without it only the default -ef works")
		case errors.As(err, &failed):
			return nil, fault.Invalid("ps %s: %s", strings.Join(args, " "), firstLine(failed.Stderr))
		}
		return nil, fault.Internal("run ps: %w", err)
	}
	lines := strings.Split(strings.TrimRight(string(output), "\n"), "\n")
	top := &models.ContainerTopResponse{Titles: strings.Fields(lines[0]), Processes: [][]string{}}
	column := slices.Index(top.Titles, "PID")
	if column < 0 {
		return nil, fault.Invalid("Couldn't find PID field in ps output")
	}
	for _, line := range lines[1:] {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		pid, err := strconv.Atoi(fields[column])
		if err != nil || !slices.Contains(pids, pid) {
			continue
		}
		if last := len(top.Titles) - 1; len(fields) > last { // the command has spaces
			fields = append(fields[:last:last], strings.Join(fields[last:], " "))
		}
		top.Processes = append(top.Processes, fields)
	}
	return top, nil
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return string(line)
}

// listProcesses gives the columns of ps -ef.
func listProcesses(pids []int) (*models.ContainerTopResponse, error) {
	var host unix.Sysinfo_t
	if err := unix.Sysinfo(&host); err != nil {
		return nil, fault.Internal("read the host's uptime: %w", err)
	}
	boot := time.Now().Add(-time.Duration(host.Uptime) * time.Second)
	top := &models.ContainerTopResponse{
		Titles: []string{"UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"}, Processes: [][]string{},
	}
	for _, pid := range pids {
		if row, ok := processRow(pid, boot); ok {
			top.Processes = append(top.Processes, row)
		}
	}
	return top, nil
}

// processRow reads one process (proc(5), /proc/pid/stat); ok is false if it
// ended meanwhile.
func processRow(pid int, boot time.Time) (row []string, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil, false
	}
	var owner unix.Stat_t
	if unix.Stat(dir, &owner) != nil {
		return nil, false
	}
	// The name is in parentheses and may hold anything.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return nil, false
	}
	f := strings.Fields(string(stat[end+1:])) // from field 3 on
	if len(f) < 20 {
		return nil, false
	}
	number := func(field int) int64 { n, _ := strconv.ParseInt(f[field-3], 10, 64); return n }
	started := boot.Add(time.Duration(number(22)) * time.Second / userHZ)
	used := time.Duration(number(14)+number(15)) * time.Second / userHZ
	percent := 0
	if age := time.Since(started); age > 0 {
		percent = min(int(100*used/age), 99)
	}
	start := started.Format("15:04")
	if time.Since(started) >= 24*time.Hour {
		start = started.Format("Jan02")
	}
	command := string(stat[open : end+1])
	if line, err := os.ReadFile(dir + "/cmdline"); err == nil && len(line) > 0 {
		command = strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
	} else {
		command = "[" + command[1:len(command)-1] + "]"
	}
	seconds := int(used.Seconds())
	return []string{
		userName(owner.Uid), strconv.Itoa(pid), strconv.FormatInt(number(4), 10), strconv.Itoa(percent), start,
		terminalName(number(7)), fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60), command,
	}, true
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// terminalName names a device number of /proc/pid/stat.
func terminalName(device int64) string {
	major, minor := unix.Major(uint64(device)), unix.Minor(uint64(device))
	switch {
	case device == 0:
		return "?"
	case major >= 136 && major < 144: // Unix98 pseudo terminals, devices.txt
		return fmt.Sprintf("pts/%d", (major-136)*256+minor)
	case major == 4 && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	}
	return fmt.Sprintf("%d:%d", major, minor)
}
