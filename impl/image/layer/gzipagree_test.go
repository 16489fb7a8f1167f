package layer_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// member is a gzip member with a header of one's own.
type member struct {
	flags          byte
	header         []byte // what the flags announce
	headerSum      bool
	body           []byte // compressed
	spoilSum       bool
	spoilLength    bool
	plain          []byte
	magic2, method byte
}

func (m member) bytes() []byte {
	b := []byte{0x1f, 0x8b, 8, m.flags, 1, 2, 3, 4, 0, 255}
	if m.magic2 != 0 {
		b[1] = m.magic2
	}
	if m.method != 0 {
		b[2] = m.method
	}
	b = append(b, m.header...)
	if m.flags&2 != 0 {
		sum := uint16(crc32.ChecksumIEEE(b))
		if m.headerSum {
			sum++
		}
		b = binary.LittleEndian.AppendUint16(b, sum)
	}
	b = append(b, m.body...)
	sum, n := crc32.ChecksumIEEE(m.plain), uint32(len(m.plain))
	if m.spoilSum {
		sum++
	}
	if m.spoilLength {
		n++
	}
	b = binary.LittleEndian.AppendUint32(b, sum)
	return binary.LittleEndian.AppendUint32(b, n)
}

// What is accepted of gzip, and what comes out, is what the standard library of Go
// accepts, whichever reader a stream goes through: small and large ones, with
// igzip(1) and without.
func TestGzipReadersAgree(t *testing.T) {
	if _, err := exec.LookPath("igzip"); err != nil {
		t.Fatalf("igzip is missing (make setup-build installs Debian's isal): %v", err)
	}
	where := os.Getenv("PATH")
	for _, size := range []int{0, 1000, 1200 << 10} {
		plain, z := packed(t, size)
		body := z[10 : len(z)-8]
		m := func(change func(*member)) []byte {
			x := member{body: body, plain: plain}
			if change != nil {
				change(&x)
			}
			return x.bytes()
		}
		plainMember := m(nil)
		_, small := packed(t, 10)
		empty := member{body: []byte{3, 0}}.bytes()
		long := append(bytes.Repeat([]byte("n"), 600), 0)
		streams := map[string][]byte{
			"whole":                          plainMember,
			"two members":                    slices.Concat(plainMember, plainMember),
			"a small member after it":        slices.Concat(plainMember, small),
			"a small member before it":       slices.Concat(small, plainMember),
			"an empty member after it":       slices.Concat(plainMember, empty),
			"many empty members":             bytes.Repeat(empty, 40_000),
			"many small members":             bytes.Repeat(small, 40_000),
			"cut off in the data":            plainMember[:len(plainMember)/2],
			"without its checksum":           plainMember[:len(plainMember)-8],
			"without its length":             plainMember[:len(plainMember)-4],
			"without its last byte":          plainMember[:len(plainMember)-1],
			"wrong checksum":                 m(func(x *member) { x.spoilSum = true }),
			"wrong length":                   m(func(x *member) { x.spoilLength = true }),
			"wrong checksum of the second":   slices.Concat(plainMember, m(func(x *member) { x.spoilSum = true })),
			"wrong length of the second":     slices.Concat(plainMember, m(func(x *member) { x.spoilLength = true })),
			"no data":                        {0x1f, 0x8b},
			"another method":                 m(func(x *member) { x.method = 7 }),
			"another method of the second":   slices.Concat(plainMember, m(func(x *member) { x.method = 7 })),
			"another magic of the second":    slices.Concat(plainMember, m(func(x *member) { x.magic2 = 0x8c })),
			"a name":                         m(func(x *member) { x.flags, x.header = 8, []byte("name\x00") }),
			"a name of the second":           slices.Concat(plainMember, m(func(x *member) { x.flags, x.header = 8, []byte("name\x00") })),
			"a long name":                    m(func(x *member) { x.flags, x.header = 8, long }),
			"a long name of the second":      slices.Concat(plainMember, m(func(x *member) { x.flags, x.header = 8, long })),
			"a long comment":                 m(func(x *member) { x.flags, x.header = 16, long }),
			"extra, name and comment":        m(func(x *member) { x.flags, x.header = 4|8|16, []byte("\x03\x00abcname\x00comment\x00") }),
			"extra of the second":            slices.Concat(plainMember, m(func(x *member) { x.flags, x.header = 4, []byte("\x03\x00abc") })),
			"a checksum of the header":       m(func(x *member) { x.flags = 2 }),
			"a wrong one":                    m(func(x *member) { x.flags, x.headerSum = 2, true }),
			"a wrong one of the second":      slices.Concat(plainMember, m(func(x *member) { x.flags, x.headerSum = 2, true })),
			"a right one of the second":      slices.Concat(plainMember, m(func(x *member) { x.flags = 2 })),
			"reserved flags":                 m(func(x *member) { x.flags = 0xe0 }),
			"reserved flags of the second":   slices.Concat(plainMember, m(func(x *member) { x.flags = 0xe0 })),
			"a bad block":                    m(func(x *member) { x.body = append([]byte{7}, x.body...) }),
			"a byte in the middle is wrong":  spoil(plainMember, len(plainMember)/2),
			"a member within the last block": slices.Concat(plainMember[:len(plainMember)-9], small),
		}
		for _, n := range []int{1, 2, 3, 9, 10, 11, 17, 512, 10240, 600 << 10} {
			streams["zeros after it "+strconv.Itoa(n)] = slices.Concat(plainMember, make([]byte, n))
			streams["garbage after it "+strconv.Itoa(n)] = slices.Concat(plainMember, bytes.Repeat([]byte("x"), n))
			streams["0x1f after it "+strconv.Itoa(n)] = slices.Concat(plainMember, bytes.Repeat([]byte{0x1f}, n))
			streams["a header after it "+strconv.Itoa(n)] = slices.Concat(plainMember, plainMember[:min(n, len(plainMember)-1)])
			streams["garbage between "+strconv.Itoa(n)] = slices.Concat(plainMember, bytes.Repeat([]byte("x"), n), plainMember)
		}
		for name, in := range streams {
			var want []byte
			r, werr := stdgzip.NewReader(bytes.NewReader(in))
			if werr == nil {
				want, werr = io.ReadAll(r)
			}
			if strings.HasPrefix(name, "a long ") {
				// The library's bound on names is its own; igzip has none.
				want, werr = plain, nil
				if strings.HasSuffix(name, "second") {
					want = bytes.Repeat(plain, 2)
				}
			}
			for _, program := range []bool{true, false} {
				t.Setenv("PATH", "")
				if program {
					t.Setenv("PATH", where)
				}
				got, err := decompress(context.Background(), bytes.NewReader(in))
				if (err == nil) != (werr == nil) {
					t.Errorf("igzip %v, %d bytes, %s: %v; the standard library: %v", program, size, name, err, werr)
				} else if err == nil && !bytes.Equal(got, want) {
					t.Errorf("igzip %v, %d bytes, %s: %d bytes instead of %d", program, size, name, len(got), len(want))
				}
			}
		}
	}
}

func spoil(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 0x55
	return b
}
