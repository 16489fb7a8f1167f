package seccomp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A profile that is not in the table must not make a filter without its rules, and
// libcontainer ignores system calls that have no number.
func TestUnknownProfile(t *testing.T) {
	for _, name := range []string{Name(Key{1}), Prefix, Prefix + "x", Prefix + strings.Repeat("z", 64)} {
		if Known(name) {
			t.Errorf("%s is known", name)
		}
		call, err := GetSyscallFromName(name)
		must(t, err)
		f, err := NewFilter(ActAllow)
		must(t, err)
		if err := f.AddRule(call, ActErrno); !errors.Is(err, errNoProfile) {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.AddRuleConditional(call, ActErrno, nil); err == nil {
			t.Errorf("%s has conditions", name)
		}
		if call, err := GetSyscallFromNameByArch(name, ArchAMD64); err == nil {
			t.Errorf("%s: %d", name, call)
		}
	}
}

// A profile's program is for one frame, and other rules have no place beside it.
func TestFrame(t *testing.T) {
	filter := func(change func(*ScmpFilter)) *ScmpFilter {
		f, err := NewFilter(ActAllow)
		must(t, err)
		must(t, f.AddArch(ArchX86))
		change(f)
		return f
	}
	var frame Key
	Observe(func(_ Key, p Program) { frame = p.Frame })
	export := func(f *ScmpFilter) error {
		file, err := os.Create(filepath.Join(t.TempDir(), "bpf"))
		must(t, err)
		defer file.Close()
		return f.ExportBPF(file)
	}
	read, err := GetSyscallFromName("read")
	must(t, err)
	must(t, export(filter(func(f *ScmpFilter) { must(t, f.AddRule(read, ActErrno)) })))
	for name, c := range map[string]struct {
		change func(*ScmpFilter)
		err    error
	}{
		"the same":             {func(*ScmpFilter) {}, nil},
		"another architecture": {func(f *ScmpFilter) { must(t, f.AddArch(ArchX32)) }, errFrame},
		"another flag":         {func(f *ScmpFilter) { must(t, f.SetNoNewPrivsBit(false)) }, errFrame},
		"a rule":               {func(f *ScmpFilter) { must(t, f.AddRule(read, ActErrno)) }, errFrame},
	} {
		f := filter(c.change)
		f.profile = &Program{Code: []byte("code"), Frame: frame}
		if err := export(f); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
