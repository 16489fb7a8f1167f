package seccomp

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
)

// Key names a filter by the hash of the calls that made it, or a profile.
type Key [sha256.Size]byte

// Program is what libseccomp made of a filter.
type Program struct {
	// Code is a struct sock_filter[] in native order.
	Code []byte
	// Frame is the hash of the calls that made the filter without its rules: its
	// architectures, flags and default action.
	Frame Key
	// Last is the greatest number of a system call in its rules, for each
	// architecture that has one. Only a profile's program has it.
	Last map[ScmpArch]ScmpSyscall
}

// Table maps filters and profiles to their programs.
//
// It is kept at the end of an executable, behind what the linker wrote: entries
// of key, frame, number of Last, architecture and system call of each, length of
// the code, code (numbers are uint32, little-endian); the length of all entries
// (uint64); the magic. The container's first process reads it from
// /proc/self/exe, because it can neither inherit a descriptor nor reach a file
// of the host by the time it needs it. The executable is a sealed memory file,
// so nobody can put another program there.
type Table map[Key]Program

const (
	magic      = "BERTHBP2"
	footerSize = 8 + len(magic)
	// maxTable bounds what is read; a program has at most 4096 instructions of
	// 8 bytes (BPF_MAXINSNS).
	maxTable = 4 << 20
)

// Append gives the form in which a table is kept.
func (t Table) Append(b []byte) []byte {
	start := len(b)
	keys := slices.SortedFunc(maps.Keys(t), compareKeys)
	for _, k := range keys {
		p := t[k]
		b = append(append(b, k[:]...), p.Frame[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Last)))
		for _, arch := range slices.Sorted(maps.Keys(p.Last)) {
			b = binary.LittleEndian.AppendUint32(b, uint32(arch))
			b = binary.LittleEndian.AppendUint32(b, uint32(p.Last[arch]))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.Code)))
		b = append(b, p.Code...)
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(b)-start))
	return append(b, magic...)
}

var errNoTable = errors.New("no table of seccomp programs")

// ReadTable reads the table at the end of a file.
func ReadTable(f *os.File) (Table, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < int64(footerSize) {
		return nil, errNoTable
	}
	var footer [footerSize]byte
	if _, err := f.ReadAt(footer[:], st.Size()-int64(footerSize)); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint64(footer[:])
	if string(footer[8:]) != magic || size > maxTable || size > uint64(st.Size())-uint64(footerSize) {
		return nil, errNoTable
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, st.Size()-int64(footerSize)-int64(size)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return parseTable(b)
}

func parseTable(b []byte) (Table, error) {
	t := Table{}
	r := reader{rest: b}
	for len(r.rest) > 0 {
		var k Key
		var p Program
		copy(k[:], r.take(len(k)))
		copy(p.Frame[:], r.take(len(p.Frame)))
		if n := r.number(); n > 0 && !r.short {
			p.Last = map[ScmpArch]ScmpSyscall{}
			for ; n > 0 && !r.short; n-- {
				arch := ScmpArch(r.number())
				p.Last[arch] = ScmpSyscall(r.number())
			}
		}
		p.Code = r.take(int(r.number()))
		if r.short {
			return nil, errors.New("table of seccomp programs: it ends within an entry")
		}
		t[k] = p
	}
	return t, nil
}

// reader reads a table; short is set when there was less than was to be read.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.short, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) number() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// own is the table of the running executable. One that cannot be read is as
// good as none.
var own = sync.OnceValue(func() Table {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil
	}
	defer f.Close()
	t, err := ReadTable(f)
	if err != nil {
		return nil
	}
	return t
})
