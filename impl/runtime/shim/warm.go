package shim

import (
	"encoding/json"
	"io"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/specconv"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// sample is an order with every part that an ordinary one has.
const sample = `{"ID":"sample","OCI":{"ociVersion":"1.0.2","process":{"user":{"uid":0,"gid":0,"additionalGids":[1]},
"args":["true"],"env":["A=b"],"cwd":"/","capabilities":{"bounding":["CAP_KILL"],"effective":["CAP_KILL"],
"permitted":["CAP_KILL"]},"rlimits":[{"type":"RLIMIT_NOFILE","hard":1,"soft":1}]},"root":{"path":"/"},
"hostname":"h","mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid"]}],
"linux":{"resources":{"devices":[{"allow":false,"access":"rwm"},
{"allow":true,"type":"c","major":1,"minor":3,"access":"rwm"}],"memory":{"limit":1},"cpu":{"shares":2},"pids":{"limit":1},
"blockIO":{"weight":10}},"cgroupsPath":"/sample","namespaces":[{"type":"mount"},{"type":"network","path":"/proc/self/ns/net"}],
"devices":[{"path":"/dev/x","type":"c","major":1,"minor":3}],"seccomp":{"defaultAction":"SCMP_ACT_ERRNO",
"defaultErrnoRet":1,"architectures":["SCMP_ARCH_X86_64"],"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW",
"args":[{"index":0,"value":0,"op":"SCMP_CMP_EQ"}]}]},"maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/bus"]}},
"Rootfs":{"Lower":["/"]},"Stdio":{"OpenStdin":true},"Log":{"Path":"/"}}`

// warmUp does what a start does without touching anything, so that a shim that
// has nothing to do yet has the types of the JSON analysed, the mounts of the
// cgroups found and its own code in memory. It is pointless when the order is
// there already.
func warmUp() {
	poll := []unix.PollFd{{Fd: protocol.FDOrders, Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, 0); n > 0 || err != nil {
		return
	}
	var order protocol.Order
	if json.Unmarshal([]byte(sample), &order) != nil {
		return
	}
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: order.ID, Spec: order.OCI})
	if err != nil {
		return
	}
	_, _ = newProcess(order.OCI.Process)
	enc := json.NewEncoder(io.Discard)
	_ = enc.Encode(libcontainer.State{BaseState: libcontainer.BaseState{Config: *config}})
	_ = enc.Encode(protocol.Report{Handle: &protocol.Handle{Cgroup: config.Cgroups}})
	_ = enc.Encode(specs.State{})
	cgroups.IsCgroup2UnifiedMode()
	if m, err := manager.New(config.Cgroups); err == nil {
		_ = m.GetPaths()
	}
}
