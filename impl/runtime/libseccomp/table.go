package seccomp

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// Key names a filter: the hash of the calls that made it.
type Key [sha256.Size]byte

// Table maps filters to their programs (struct sock_filter[], native order).
//
// It is kept at the end of an executable, behind what the linker wrote:
// entries of key, length (uint32, little-endian) and program; the length of all
// entries (uint64); the magic. The container's first process reads it from
// /proc/self/exe, because it can neither inherit a descriptor nor reach a file
// of the host by the time it needs it. The executable is a sealed memory file,
// so nobody can put another program there.
type Table map[Key][]byte

const (
	magic      = "BERTHBPF"
	footerSize = 8 + len(magic)
	// maxTable bounds what is read; a program has at most 4096 instructions of
	// 8 bytes (BPF_MAXINSNS).
	maxTable = 4 << 20
)

// Append gives the form in which a table is kept.
func (t Table) Append(b []byte) []byte {
	start := len(b)
	keys := make([]Key, 0, len(t))
	for k := range t {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return bytes.Compare(a[:], b[:]) })
	for _, k := range keys {
		b = append(b, k[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t[k])))
		b = append(b, t[k]...)
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
	for len(b) > 0 {
		if len(b) < len(Key{})+4 {
			return nil, fmt.Errorf("table of seccomp programs: %d bytes too many", len(b))
		}
		var k Key
		copy(k[:], b)
		n := binary.LittleEndian.Uint32(b[len(k):])
		b = b[len(k)+4:]
		if uint64(n) > uint64(len(b)) {
			return nil, fmt.Errorf("table of seccomp programs: an entry of %d bytes in %d", n, len(b))
		}
		t[k] = b[:n:n]
		b = b[n:]
	}
	return t, nil
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
