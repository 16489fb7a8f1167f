package database

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
)

// The form of a bbolt file, version 2 (go.etcd.io/bbolt, internal/common):
// pages of one size, each with a head of
//
//	id uint64, flags uint16, count uint16, overflow uint32
//
// in the machine's byte order, which is little endian wherever berth runs. The
// first two pages are heads of the file; the valid one with the higher
// transaction counts. A leaf's elements are flags, position, key size and value
// size (uint32 each), a branch's are position, key size (uint32) and page
// (uint64); positions count from the element. The value of an element with flag 1
// is a bucket: root page and sequence (uint64); with root 0 its only page follows.
const (
	pageHead    = 16
	metaSize    = 64
	elementSize = 16
	bucketHead  = 16

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagFreelist = 0x10
	isBucket     = 0x01

	magic      = 0xED0CDAED
	version    = 2
	noFreelist = ^uint64(0)
	maxDepth   = 64
)

var order = binary.LittleEndian

// file is a bbolt file in memory. Nothing that it holds is trusted.
type file struct {
	data     []byte
	pageSize uint64
	// pages is the number of pages in use, of which root and freelist are two.
	pages, root, freelist uint64
	// headless says that only one of the two heads is valid.
	headless error
	// seen are the pages that were read, each of which has one place.
	seen map[uint64]bool
}

func readFile(path string) (*file, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &file{data: data, seen: map[uint64]bool{0: true, 1: true}}
	return f, f.readHead()
}

// readHead finds the valid head. The second one lies a page further, and only a
// valid first one says how far that is, so usual sizes are tried. bbolt makes a
// file with two valid heads and writes one of them at the end of each transaction,
// in turn, so both are valid unless the disk harmed one, or power was lost within
// the few bytes of a write.
func (f *file) readHead() error {
	var newest uint64
	valid := map[uint64]int{}
	for size := 1 << 10; size <= 64<<10; size <<= 1 {
		for _, at := range []int{0, size} {
			if at+pageHead+metaSize > len(f.data) {
				continue
			}
			m := f.data[at+pageHead:][:metaSize]
			sum := fnv.New64a()
			sum.Write(m[:metaSize-8])
			if order.Uint32(m) != magic || order.Uint32(m[4:]) != version || order.Uint64(m[56:]) != sum.Sum64() || int(order.Uint32(m[8:])) != size {
				continue
			}
			valid[uint64(size)]++
			if tx := order.Uint64(m[48:]); f.pageSize == 0 || tx > newest {
				newest = tx
				f.pageSize, f.root, f.freelist, f.pages = uint64(size), order.Uint64(m[16:]), order.Uint64(m[32:]), order.Uint64(m[40:])
			}
		}
	}
	if f.pageSize == 0 {
		return fmt.Errorf("%w: it has no valid head", ErrDamaged)
	}
	if valid[f.pageSize] < 2 {
		f.headless = fmt.Errorf("%w: one of its two heads is not valid: what the last transaction wrote may be missing", ErrDamaged)
	}
	return nil
}

// page is one page with those that continue it.
type page struct {
	flags uint16
	count int
	body  []byte // from the head on, which positions do not include
}

func (f *file) page(id uint64) (*page, error) {
	bad := func(format string, args ...any) (*page, error) {
		return nil, fmt.Errorf("%w: page %d: %s", ErrDamaged, id, fmt.Sprintf(format, args...))
	}
	if id < 2 || id >= f.pages || (id+1)*f.pageSize > uint64(len(f.data)) {
		return bad("out of the file, which has %d", f.pages)
	}
	b := f.data[id*f.pageSize:]
	if got := order.Uint64(b); got != id {
		return bad("it says that it is page %d", got)
	}
	overflow := uint64(order.Uint32(b[12:]))
	if id+overflow >= f.pages || (id+overflow+1)*f.pageSize > uint64(len(f.data)) {
		return bad("continues out of the file")
	}
	for i := id; i <= id+overflow; i++ {
		if f.seen[i] {
			return bad("is used twice")
		}
	}
	for i := id; i <= id+overflow; i++ {
		f.seen[i] = true
	}
	return &page{flags: order.Uint16(b[8:]), count: int(order.Uint16(b[10:])), body: b[pageHead : (overflow+1)*f.pageSize]}, nil
}

// cut returns size bytes at position pos of element i.
func (p *page) cut(i int, pos, size uint64) ([]byte, error) {
	from := uint64(i)*elementSize + pos
	if from < uint64(p.count)*elementSize || from+size > uint64(len(p.body)) {
		return nil, fmt.Errorf("%w: element %d lies out of its page", ErrDamaged, i)
	}
	return p.body[from:][:size], nil
}

// walker reads one tree in the order of its keys. It goes on after damage, so
// that what can be read is read; every damage goes to bad.
type walker struct {
	*file
	fn  func(k, v []byte, bucket bool)
	bad func(error)
	// last is the last key of a leaf; nil before the first.
	last []byte
}

func (f *file) walk(id uint64, fn func(k, v []byte, bucket bool), bad func(error)) {
	w := &walker{file: f, fn: fn, bad: bad}
	w.walk(id, 0, nil)
}

// walk reads the page id, whose keys are not less than least.
func (w *walker) walk(id uint64, depth int, least []byte) {
	p, err := w.page(id)
	if err != nil {
		w.bad(err)
		return
	}
	if depth > maxDepth {
		w.bad(fmt.Errorf("%w: page %d: more than %d storeys", ErrDamaged, id, maxDepth))
		return
	}
	w.elements(id, p, depth, least)
}

func (w *walker) elements(id uint64, p *page, depth int, least []byte) {
	bad := w.bad
	if p.flags != flagLeaf && p.flags != flagBranch {
		bad(fmt.Errorf("%w: page %d is of no kind that holds keys (%#x)", ErrDamaged, id, p.flags))
		return
	}
	if p.count*elementSize > len(p.body) {
		bad(fmt.Errorf("%w: page %d has more elements than room", ErrDamaged, id))
		return
	}
	for i := range p.count {
		e := p.body[i*elementSize:]
		var pos, ksize, vsize, child uint64
		if p.flags == flagLeaf {
			pos, ksize, vsize = uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[8:])), uint64(order.Uint32(e[12:]))
		} else {
			pos, ksize, child = uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), order.Uint64(e[8:])
		}
		kv, err := p.cut(i, pos, ksize+vsize)
		if err != nil {
			bad(fmt.Errorf("page %d: %w", id, err))
			if p.flags == flagBranch { // the page below may be whole
				w.walk(child, depth+1, nil)
			}
			continue
		}
		k := kv[:ksize]
		// A key is more than all before it and, since a branch's key leads to it, not
		// less than that one. Which of two keys is wrong cannot be told, so both count.
		if w.last != nil && bytes.Compare(w.last, k) >= 0 || bytes.Compare(k, least) < 0 {
			bad(fmt.Errorf("%w: page %d: keys out of order", ErrDamaged, id))
		}
		least = k
		if p.flags == flagBranch {
			w.walk(child, depth+1, k)
			continue
		}
		w.last = k
		w.fn(k, kv[ksize:], order.Uint32(e)&isBucket != 0)
	}
}

// buckets reads all buckets and their keys.
func (f *file) buckets(fn func(bucket string, k, v []byte), bad func(bucket string, err error)) {
	f.walk(f.root, func(name, v []byte, bucket bool) {
		fail := func(err error) { bad(string(name), err) }
		if !bucket || len(v) < bucketHead {
			fail(fmt.Errorf("%w: it is no bucket", ErrDamaged))
			return
		}
		fn(string(name), nil, nil)
		key := func(k, v []byte, bucket bool) {
			if bucket {
				fail(fmt.Errorf("%w: key %q is a bucket", ErrDamaged, k))
				return
			}
			fn(string(name), k, v)
		}
		if root := order.Uint64(v); root != 0 {
			f.walk(root, key, fail)
			return
		}
		v = v[bucketHead:]
		if len(v) < pageHead {
			fail(fmt.Errorf("%w: its page is cut off", ErrDamaged))
			return
		}
		inline := &page{flags: order.Uint16(v[8:]), count: int(order.Uint16(v[10:])), body: v[pageHead:]}
		if inline.flags != flagLeaf {
			fail(fmt.Errorf("%w: its page holds no keys", ErrDamaged))
			return
		}
		(&walker{file: f, fn: key, bad: fail}).elements(0, inline, 0, nil)
	}, func(err error) { bad("", err) })
}

// checkFree checks that every page is either read or free. It comes after
// buckets.
func (f *file) checkFree() error {
	if f.freelist == noFreelist {
		return nil
	}
	p, err := f.page(f.freelist)
	if err != nil {
		return fmt.Errorf("list of free pages: %w", err)
	}
	if p.flags != flagFreelist {
		return fmt.Errorf("%w: page %d is not the list of free pages", ErrDamaged, f.freelist)
	}
	list, count := p.body, uint64(p.count)
	if p.count == 0xffff { // the count did not fit and comes first
		count, list = order.Uint64(list), list[8:]
	}
	if count > uint64(len(list))/8 {
		return fmt.Errorf("%w: the list of free pages is cut off", ErrDamaged)
	}
	for i := range count {
		id := order.Uint64(list[i*8:])
		if id < 2 || id >= f.pages || f.seen[id] {
			return fmt.Errorf("%w: page %d is free and in use", ErrDamaged, id)
		}
		f.seen[id] = true
	}
	for id := range f.pages {
		if !f.seen[id] {
			return fmt.Errorf("%w: page %d is neither free nor in use", ErrDamaged, id)
		}
	}
	return nil
}
