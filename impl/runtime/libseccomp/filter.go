package seccomp

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"os"
	"sync/atomic"

	real "berth.invalid/libseccomp-golang"
)

// ScmpFilter collects the calls that make a filter.
type ScmpFilter struct {
	action     ScmpAction
	calls      []func(*real.ScmpFilter) error
	text       []byte // the calls, for the key
	frame      []byte // those of them that are no rules
	rules      int
	profile    *Program // in place of rules
	noNewPrivs bool
	log, ssb   bool
	waitKill   bool
}

// The calls, as they go into the key.
const (
	callNew = iota + 1
	callArch
	callOptimize
	callNoNewPrivs
	callLog
	callSSB
	callWaitKill
	callRule
	callVersion
)

func (f *ScmpFilter) note(call byte, numbers ...uint64) {
	start := len(f.text)
	f.text = append(f.text, call, byte(len(numbers)))
	for _, n := range numbers {
		f.text = binary.LittleEndian.AppendUint64(f.text, n)
	}
	switch call {
	case callRule, callOptimize: // which depends on the number of rules
	default:
		f.frame = append(f.frame, f.text[start:]...)
	}
}

func (f *ScmpFilter) add(call func(*real.ScmpFilter) error) error {
	f.calls = append(f.calls, call)
	return nil
}

// NewFilter begins a filter.
func NewFilter(action ScmpAction) (*ScmpFilter, error) {
	f := &ScmpFilter{action: action, noNewPrivs: true}
	major, minor, micro := real.GetLibraryVersion()
	api, err := real.GetAPI()
	if err != nil {
		api = 0
	}
	f.note(callVersion, uint64(major), uint64(minor), uint64(micro), uint64(api))
	f.note(callNew, uint64(action))
	return f, nil
}

// AddArch is as in the real package, but errors come from ExportBPF. So it is
// with the other methods that say nothing else.
func (f *ScmpFilter) AddArch(arch ScmpArch) error {
	f.note(callArch, uint64(arch))
	return f.add(func(r *real.ScmpFilter) error { return r.AddArch(arch) })
}

// SetOptimize is as AddArch.
func (f *ScmpFilter) SetOptimize(level int) error {
	f.note(callOptimize, uint64(level))
	return f.add(func(r *real.ScmpFilter) error {
		// Not known to older libraries; libcontainer does without, too.
		_ = r.SetOptimize(level)
		return nil
	})
}

// SetNoNewPrivsBit is as AddArch.
func (f *ScmpFilter) SetNoNewPrivsBit(on bool) error {
	f.noNewPrivs = on
	f.note(callNoNewPrivs, number(on))
	return f.add(func(r *real.ScmpFilter) error { return r.SetNoNewPrivsBit(on) })
}

// SetLogBit asks the library at once: libcontainer wants to know whether it
// can.
func (f *ScmpFilter) SetLogBit(on bool) error {
	f.log = on
	return f.flag(callLog, on, (*real.ScmpFilter).SetLogBit)
}

// SetSSB is as SetLogBit.
func (f *ScmpFilter) SetSSB(on bool) error {
	f.ssb = on
	return f.flag(callSSB, on, (*real.ScmpFilter).SetSSB)
}

// SetWaitKill is as SetLogBit.
func (f *ScmpFilter) SetWaitKill(on bool) error {
	f.waitKill = on
	return f.flag(callWaitKill, on, (*real.ScmpFilter).SetWaitKill)
}

func (f *ScmpFilter) flag(call byte, on bool, set func(*real.ScmpFilter, bool) error) error {
	try, err := real.NewFilter(real.ActAllow)
	if err != nil {
		return err
	}
	defer try.Release()
	if err := set(try, on); err != nil {
		return err
	}
	f.note(call, number(on))
	return f.add(func(r *real.ScmpFilter) error { return set(r, on) })
}

// GetNoNewPrivsBit gives what was set.
func (f *ScmpFilter) GetNoNewPrivsBit() (bool, error) { return f.noNewPrivs, nil }

// GetLogBit gives what was set.
func (f *ScmpFilter) GetLogBit() (bool, error) { return f.log, nil }

// GetSSB gives what was set.
func (f *ScmpFilter) GetSSB() (bool, error) { return f.ssb, nil }

// GetWaitKill gives what was set.
func (f *ScmpFilter) GetWaitKill() (bool, error) { return f.waitKill, nil }

// AddRule is as AddArch. The name of a profile (Name) as system call stands for
// all its rules.
func (f *ScmpFilter) AddRule(call ScmpSyscall, action ScmpAction) error {
	if isProfile(call) {
		return f.addProfile(call)
	}
	f.rules++
	f.note(callRule, uint64(call), uint64(action))
	return f.add(func(r *real.ScmpFilter) error { return r.AddRule(call, action) })
}

// AddRuleConditional is as AddArch.
func (f *ScmpFilter) AddRuleConditional(call ScmpSyscall, action ScmpAction, conds []ScmpCondition) error {
	if isProfile(call) {
		return errConditions
	}
	f.rules++
	numbers := []uint64{uint64(call), uint64(action)}
	for _, c := range conds {
		numbers = append(numbers, uint64(c.Argument), uint64(c.Op), c.Operand1, c.Operand2)
	}
	f.note(callRule, numbers...)
	return f.add(func(r *real.ScmpFilter) error { return r.AddRuleConditional(call, action, conds) })
}

// ExportBPF writes the filter's program.
func (f *ScmpFilter) ExportBPF(file *os.File) error {
	key, frame := Key(sha256.Sum256(f.text)), Key(sha256.Sum256(f.frame))
	program, known := own()[key]
	switch {
	case f.profile != nil:
		if f.rules > 0 || f.profile.Frame != frame {
			return errFrame
		}
		program = *f.profile
	case !known:
		code, err := f.compile()
		if err != nil {
			return err
		}
		program = Program{Code: code, Frame: frame}
	}
	if observe := observer.Load(); observe != nil {
		(*observe)(key, program)
	}
	_, err := file.Write(program.Code)
	return err
}

func (f *ScmpFilter) compile() ([]byte, error) {
	r, err := real.NewFilter(f.action)
	if err != nil {
		return nil, err
	}
	defer r.Release()
	for _, call := range f.calls {
		if err := call(r); err != nil {
			return nil, err
		}
	}
	// ExportBPFMem needs libseccomp 2.6.
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	exported := make(chan error, 1)
	go func() {
		exported <- r.ExportBPF(to)
		_ = to.Close()
	}()
	program, err := io.ReadAll(from)
	if exportErr := <-exported; exportErr != nil {
		return nil, exportErr
	}
	return program, err
}

// observer is told of each program. libcontainer makes its filters out of
// reach, so this is the only way to get hold of one.
var observer atomic.Pointer[func(Key, Program)]

// Observe has each program that this process makes shown to a function.
func Observe(f func(Key, Program)) { observer.Store(&f) }

func number(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
