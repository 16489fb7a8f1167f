package seccomp

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"

	real "berth.invalid/libseccomp-golang"
)

// build makes the same filter with either package, as libcontainer does.
type builder interface {
	AddArch(ScmpArch) error
	SetOptimize(int) error
	SetNoNewPrivsBit(bool) error
	AddRule(ScmpSyscall, ScmpAction) error
	AddRuleConditional(ScmpSyscall, ScmpAction, []ScmpCondition) error
	ExportBPF(*os.File) error
}

func build(tb testing.TB, f builder, value uint64) []byte {
	tb.Helper()
	must(tb, f.AddArch(ArchX86))
	must(tb, f.SetOptimize(2))
	must(tb, f.SetNoNewPrivsBit(false))
	for _, name := range []string{"read", "write", "openat", "exit_group", "futex"} {
		call, err := GetSyscallFromName(name)
		must(tb, err)
		must(tb, f.AddRule(call, ActAllow))
	}
	call, err := GetSyscallFromName("personality")
	must(tb, err)
	cond, err := MakeCondition(0, CompareEqual, value)
	must(tb, err)
	must(tb, f.AddRuleConditional(call, ActAllow, []ScmpCondition{cond}))
	file, err := os.Create(filepath.Join(tb.TempDir(), "bpf"))
	must(tb, err)
	defer file.Close()
	must(tb, f.ExportBPF(file))
	_, err = file.Seek(0, io.SeekStart)
	must(tb, err)
	program, err := io.ReadAll(file)
	must(tb, err)
	return program
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestSameProgramAsTheRealPackage(t *testing.T) {
	keys := map[Key]Program{}
	Observe(func(k Key, program Program) { keys[k] = program })
	action := ActErrno.SetReturnCode(1)
	for i, value := range []uint64{0, 8, 0} {
		ours, err := NewFilter(action)
		must(t, err)
		theirs, err := real.NewFilter(action)
		must(t, err)
		a, b := build(t, ours, value), build(t, theirs, value)
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%d: %d and %d bytes", i, len(a), len(b))
		}
	}
	if len(keys) != 2 {
		t.Errorf("%d keys for two filters", len(keys))
	}
}

func TestBits(t *testing.T) {
	f, err := NewFilter(ActAllow)
	must(t, err)
	if on, _ := f.GetNoNewPrivsBit(); !on {
		t.Error("libseccomp's default is on")
	}
	must(t, f.SetNoNewPrivsBit(false))
	must(t, f.SetLogBit(true))
	on, err := f.GetLogBit()
	if off, _ := f.GetNoNewPrivsBit(); off || !on || err != nil {
		t.Errorf("no new privileges %v, log %v, %v", off, on, err)
	}
}

func TestTable(t *testing.T) {
	table := Table{
		{1}: {Code: []byte("one"), Frame: Key{9}},
		{2}: {},
		{3}: {Code: bytes.Repeat([]byte("x"), 5000), Last: map[ScmpArch]ScmpSyscall{ArchAMD64: 467, ArchX86: 3}},
	}
	name := filepath.Join(t.TempDir(), "program")
	must(t, os.WriteFile(name, table.Append([]byte("the executable")), 0o600))
	f, err := os.Open(name)
	must(t, err)
	defer f.Close()
	got, err := ReadTable(f)
	must(t, err)
	if len(got) != len(table) {
		t.Fatalf("%d entries", len(got))
	}
	for k, program := range table {
		if g := got[k]; !bytes.Equal(g.Code, program.Code) || g.Frame != program.Frame || !maps.Equal(g.Last, program.Last) {
			t.Errorf("%x = %q", k[:1], g)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("an executable without a table"))
	f.Add(Table{{1}: {Code: []byte("one"), Last: map[ScmpArch]ScmpSyscall{1: 2}}}.Append(nil))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff" + magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := os.CreateTemp(t.TempDir(), "")
		must(t, err)
		defer file.Close()
		_, err = file.Write(b)
		must(t, err)
		if table, err := ReadTable(file); err == nil {
			for _, program := range table {
				_ = bytes.Clone(program.Code)
			}
		}
	})
}
