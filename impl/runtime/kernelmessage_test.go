package runtime

import (
	"testing"
	"time"
)

func TestKernelMessages(t *testing.T) {
	const ours = "4711abc"
	for _, c := range []struct {
		name, record string
		at           time.Duration
		ok, tells    bool
	}{
		{"its group", "6,1234,5000001,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/berth/4711abc,task_memcg=/berth/4711abc,task=sh,pid=28981,uid=0\n SUBSYSTEM=x\n", 5000001 * time.Microsecond, true, true},
		{"a group below", "6,1,2,c,caller=T1;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/a/4711abc/b,task=sh,pid=1,uid=0\n", 2 * time.Microsecond, true, true},
		{"memory of the whole host", "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a/4711abc,task=sh,pid=1,uid=0\n", 2 * time.Microsecond, true, true},
		{"another group", "6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/4711abc,task_memcg=/a/4711abcd,task=4711abc,pid=1,uid=0\n", 2 * time.Microsecond, true, false},
		{"its first process", "3,1,2,-;Memory cgroup out of memory: Killed process 33 (sh) total-vm:20192kB\n", 2 * time.Microsecond, true, true},
		{"another process", "3,1,2,-;Memory cgroup out of memory: Killed process 333 (sh) total-vm:20192kB\n", 2 * time.Microsecond, true, false},
		{"something else", "6,1,2,-;veth4711abc: entered disabled state\n", 2 * time.Microsecond, true, false},
		{"no record", "oom-kill", 0, false, false},
		{"no time", "6,1,x,-;oom-kill:", 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, text, ok := kernelMessage(c.record)
			if at != c.at || ok != c.ok {
				t.Errorf("%v, %v", at, ok)
			}
			if got := tellsOfKill(text, ours, 33); got != c.tells {
				t.Errorf("%q: %v", text, got)
			}
		})
	}
}
