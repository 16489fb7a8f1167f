package protocol

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Stat is what the runtime reads from /proc/<pid>/stat (proc_pid_stat(5)).
type Stat struct {
	State     byte   // field 3
	Flags     uint64 // field 9, PF_* of include/linux/sched.h
	StartTime uint64 // field 22, clock ticks since boot
}

const (
	exiting    = 0x4  // PF_EXITING: on its way out
	forkNoExec = 0x40 // PF_FORKNOEXEC: forked, but has not executed a program since
)

// Executed says that the process has executed a program since it was forked.
// This can be told of a zombie, too.
func (s Stat) Executed() bool { return s.Flags&forkNoExec == 0 }

// Dead says that the process has exited and waits to be reaped, or is about to.
func (s Stat) Dead() bool { return s.State == 'Z' || s.State == 'X' }

// Exiting says that the process is dead or is losing what it has: its files, its
// root, its namespaces.
func (s Stat) Exiting() bool { return s.Dead() || s.Flags&exiting != 0 }

// ReadStat reads the stat file of a process; pid may be "self".
func ReadStat(pid string) (Stat, error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return Stat{}, err
	}
	// The second field is the command in parentheses, which may hold anything.
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return Stat{}, fmt.Errorf("/proc/%s/stat: cannot read %q", pid, text)
	}
	fields := bytes.Fields(text[end+1:]) // fields[0] is field 3
	if len(fields) < 20 || len(fields[0]) != 1 {
		return Stat{}, fmt.Errorf("/proc/%s/stat: cannot read %q", pid, text)
	}
	s := Stat{State: fields[0][0]}
	if s.Flags, err = strconv.ParseUint(string(fields[6]), 10, 64); err != nil {
		return Stat{}, fmt.Errorf("/proc/%s/stat: flags: %w", pid, err)
	}
	if s.StartTime, err = strconv.ParseUint(string(fields[19]), 10, 64); err != nil {
		return Stat{}, fmt.Errorf("/proc/%s/stat: start time: %w", pid, err)
	}
	return s, nil
}
