package runtime_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	gort "runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/runtime"
	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// seccompFilter is the filter that a process installed last, as the kernel has it
// (ptrace(2), PTRACE_SECCOMP_GET_FILTER).
func seccompFilter(tb testing.TB, pid int) []byte {
	tb.Helper()
	gort.LockOSThread() // who attaches is a thread
	defer gort.UnlockOSThread()
	must(tb, unix.PtraceAttach(pid))
	defer func() { must(tb, unix.PtraceDetach(pid)) }()
	var status unix.WaitStatus
	_, err := unix.Wait4(pid, &status, unix.WALL, nil)
	must(tb, err)
	const getFilter, instruction = 0x420c, 8
	n, _, errno := unix.Syscall6(unix.SYS_PTRACE, getFilter, uintptr(pid), 0, 0, 0, 0)
	if errno != 0 || n == 0 {
		tb.Fatalf("the filter of %d: %d instructions, %v", pid, n, errno)
	}
	program := make([]byte, n*instruction)
	if _, _, errno := unix.Syscall6(unix.SYS_PTRACE, getFilter, uintptr(pid), 0, uintptr(unsafe.Pointer(&program[0])), 0, 0); errno != 0 {
		tb.Fatalf("the filter of %d: %v", pid, errno)
	}
	return program
}

// compareVerdicts runs two filters for each system call of each architecture that this
// machine has, with some arguments.
func compareVerdicts(tb testing.TB, what string, got, want []byte) {
	tb.Helper()
	seen := map[uint32]bool{}
	for _, arch := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64} {
		for _, base := range []uint32{0, 1 << 30, 1 << 31} { // 1<<30 is x32
			for call := base; call < base+1000; call++ {
				for _, argument := range []uint64{0, 8, 16, 38, 1 << 17, 0x7e020000, 1 << 40} {
					a, b := verdict(tb, got, arch, call, argument), verdict(tb, want, arch, call, argument)
					if a != b {
						tb.Fatalf("%s: architecture %x, call %x, argument %x: %x, not %x", what, arch, call, argument, a, b)
					}
					seen[b] = true
				}
			}
		}
	}
	if len(seen) < 2 {
		tb.Errorf("%s: the same verdict on everything: %v", what, seen)
	}
}

// verdict runs a filter (Documentation/networking/filter.rst) for a call whose
// arguments are all the same.
func verdict(tb testing.TB, program []byte, arch, call uint32, argument uint64) uint32 {
	tb.Helper()
	data := binary.NativeEndian.AppendUint32(nil, call) // struct seccomp_data
	data = binary.NativeEndian.AppendUint32(data, arch)
	data = binary.NativeEndian.AppendUint64(data, 0)
	for range 6 {
		data = binary.NativeEndian.AppendUint64(data, argument)
	}
	var a uint32
	for pc := 0; pc < len(program)/8; pc++ {
		i := program[8*pc:]
		code, k := binary.NativeEndian.Uint16(i), binary.NativeEndian.Uint32(i[4:])
		holds := false
		switch code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.NativeEndian.Uint32(data[k:])
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= k
			continue
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(k)
			continue
		case unix.BPF_RET | unix.BPF_K:
			return k
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			holds = a == k
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			holds = a > k
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			holds = a >= k
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			holds = a&k != 0
		default:
			tb.Fatalf("instruction %d: %x", pc, i[:8])
		}
		if holds {
			pc += int(i[2])
		} else {
			pc += int(i[3])
		}
	}
	tb.Fatal("a filter without end")
	return 0
}

// isShort says that a container was made with a short form.
func (w *world) isShort(id string) bool {
	w.tb.Helper()
	state, err := os.ReadFile(filepath.Join(w.root, "state", id, "state.json"))
	must(w.tb, err)
	return bytes.Contains(state, []byte(protocol.ProfilePrefix))
}

// A process has the same filter whether its profile came whole, in its short form,
// or in a short form that the shim did not know.
func TestSeccompShortForm(t *testing.T) {
	errno := uint(77)
	for name, change := range map[string]func(*specs.LinuxSeccomp) *specs.LinuxSeccomp{
		"default": func(p *specs.LinuxSeccomp) *specs.LinuxSeccomp { return p },
		"refusing little": func(*specs.LinuxSeccomp) *specs.LinuxSeccomp {
			return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
				{Names: []string{"mkdir", "no_such_call"}, Action: specs.ActErrno},
				{Names: []string{"personality"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 8, Op: specs.OpEqualTo}}},
			}}
		},
		"another error": func(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
			q := *p
			q.DefaultErrnoRet = &errno
			return &q
		},
		"one architecture, a flag": func(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
			q := *p
			q.Architectures = []specs.Arch{specs.ArchX86_64}
			q.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog}
			return &q
		},
		"only old calls": func(p *specs.LinuxSeccomp) *specs.LinuxSeccomp {
			q := *p
			q.Architectures = nil
			q.Syscalls = nil
			for _, c := range p.Syscalls {
				c.Names = slices.DeleteFunc(slices.Clone(c.Names), func(name string) bool {
					return strings.HasPrefix(name, "futex_") || slices.Contains([]string{"cachestat", "fchmodat2", "map_shadow_stack", "mseal", "statmount", "listmount"}, name)
				})
				q.Syscalls = append(q.Syscalls, c)
			}
			return &q
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spec := func() *runtime.Spec {
				s := w.spec("/bin/busybox", "sleep", "1000")
				s.OCI.Linux.Seccomp = change(s.OCI.Linux.Seccomp)
				return s
			}
			whole := w.start(spec())
			if w.isShort(whole.ID()) {
				t.Fatal("the first container has a short form")
			}
			want := seccompFilter(t, whole.Pid())
			same := func(what string, pid int) {
				got := seccompFilter(t, pid)
				if len(spec().OCI.Linux.Seccomp.Architectures) < 2 && !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, not these %d", what, len(got), len(want))
				}
				// libcontainer's part of it is in random order.
				compareVerdicts(t, what, got, want)
			}
			short := w.start(spec())
			for range 100 { // until the profile is compiled
				if w.isShort(short.ID()) {
					break
				}
				same("read from the file", short.Pid())
				short = w.start(spec())
			}
			if !w.isShort(short.ID()) {
				t.Fatal("no container has a short form")
			}
			same("short form", short.Pid())
			// The later runtime's shims do not know the profile.
			later, err := runtime.New(runtime.Options{Root: w.root, Shim: shimPath})
			must(t, err)
			defer later.Close()
			again, err := later.Load(testContext(t), short.ID())
			must(t, err)
			for i, task := range []*runtime.Task{short, again} {
				e, err := task.Exec(testContext(t), &runtime.ExecSpec{ID: fmt.Sprint("e", i), Process: &specs.Process{
					Args: []string{"/bin/busybox", "sleep", "1000"}, Cwd: "/", Capabilities: spec().OCI.Process.Capabilities,
				}})
				must(t, err)
				same(fmt.Sprint("exec ", i), e.Pid())
				must(t, e.Signal(testContext(t), unix.SIGKILL))
				wait(t, e)
			}
		})
	}
}

// Clients cannot name another profile, known or not.
func TestSeccompProfileOfAClient(t *testing.T) {
	w := newWorld(t)
	for _, key := range []string{"", "x", strings.Repeat("0", 64), "../../handle.json"} {
		spec := w.spec("true")
		spec.OCI.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", protocol.ProfilePrefix + key}, Action: specs.ActErrno},
		}}
		if _, err := w.rt.Start(testContext(t), spec); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", key, err)
		}
	}
	ids, err := w.rt.List()
	must(t, err)
	if len(ids) > 0 {
		t.Errorf("left: %v", ids)
	}
}
