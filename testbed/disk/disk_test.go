package disk

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// model is a recording, and beside it, slowly, what each disk holds.
func model(r *rand.Rand, n int) *recording {
	rec := &recording{base: newImage(64 << 10), sector: Sector}
	for range n {
		if r.IntN(4) == 0 {
			rec.take(request{Request: Request{Kind: Flush}})
			continue
		}
		data := bytes.Repeat([]byte{byte(1 + r.IntN(255))}, Sector*(1+r.IntN(20)))
		at := int64(r.IntN(64<<10-len(data))) / Sector * Sector
		rec.take(request{Request{Write, at, int64(len(data))}, data})
	}
	return rec
}

func bytesOf(m *image) []byte {
	b := make([]byte, m.size)
	m.read(0, b)
	return b
}

// Everything, Nothing and Torn are what a plain replay gives; Some is between Nothing
// and Everything, sector by sector.
func TestCut(t *testing.T) {
	const n = 500
	r := rand.New(rand.NewPCG(1, 1))
	rec := model(r, n)
	torn, mixed := 0, 0
	for _, at := range append(r.Perm(n)[:150], 0, n, step, step-1, step+1) {
		all := make([]byte, 64<<10)
		safe := bytes.Clone(all)
		var before []byte
		could := map[int]map[byte]bool{} // by sector: what it may hold
		for _, q := range rec.requests[:at] {
			before = bytes.Clone(all)
			if q.Kind == Flush {
				safe = bytes.Clone(all)
				clear(could)
				continue
			}
			copy(all[q.At:], q.data)
			for s := range len(q.data) / Sector {
				sector := int(q.At)/Sector + s
				if could[sector] == nil {
					could[sector] = map[byte]bool{safe[sector*Sector]: true}
				}
				could[sector][q.data[0]] = true
			}
		}
		if !bytes.Equal(bytesOf(rec.cut(Cut{At: at, Mode: Everything})), all) {
			t.Errorf("at %d: not everything", at)
		}
		if !bytes.Equal(bytesOf(rec.cut(Cut{At: at, Mode: Nothing})), safe) {
			t.Errorf("at %d: not what is safe", at)
		}
		for seed := range uint64(5) {
			some := bytesOf(rec.cut(Cut{at, Some, seed}))
			if !bytes.Equal(some, all) && !bytes.Equal(some, safe) {
				mixed++
			}
			for s := range len(some) / Sector {
				sector := some[s*Sector:][:Sector]
				whole := bytes.Count(sector, sector[:1]) == Sector
				if may := could[s]; !whole || may == nil && sector[0] != safe[s*Sector] || may != nil && !may[sector[0]] {
					t.Fatalf("at %d: sector %d holds what nobody wrote", at, s)
				}
			}
			part := bytesOf(rec.cut(Cut{at, Torn, seed}))
			if bytes.Equal(part, all) {
				continue
			}
			torn++
			q := rec.requests[at-1]
			cut := 0
			for cut < len(q.data) && part[int(q.At)+cut] == q.data[0] {
				cut += Sector
			}
			want := bytes.Clone(before)
			copy(want[q.At:], q.data[:cut])
			if q.Kind != Write || !bytes.Equal(part, want) {
				t.Fatalf("at %d: it tears more than the last write", at)
			}
		}
	}
	if torn < 100 || mixed < 100 {
		t.Errorf("only %d torn and %d mixed", torn, mixed)
	}
}

// Where a disk is atomic a write is done or not.
func TestAtomic(t *testing.T) {
	r := &recording{base: newImage(8192), sector: Sector, atomic: []Range{{0, 1024}}}
	r.take(request{Request{Write, 512, 1024}, bytes.Repeat([]byte{1}, 1024)})
	for seed := range uint64(100) {
		for _, mode := range Modes {
			b := bytesOf(r.cut(Cut{1, mode, seed}))
			if n := bytes.Count(b, []byte{1}); n != 0 && n != 1024 {
				t.Fatalf("%v: %d bytes of 1024", mode, n)
			}
		}
	}
}

// A file that is no disk grows and shrinks; what was cut off comes back as zeros.
func TestResize(t *testing.T) {
	m := newImage(0)
	m.write(5000, []byte("abcdef"))
	kept := m.clone()
	m.resize(5003)
	m.resize(9000)
	want := make([]byte, 9000)
	copy(want[5000:], "abc")
	if !bytes.Equal(bytesOf(m), want) {
		t.Error("not what was written")
	}
	if b := bytesOf(kept); len(b) != 5006 || string(b[5000:]) != "abcdef" {
		t.Error("a copy changed with what it was copied from")
	}
	if n := m.read(8999, make([]byte, 10)); n != 1 {
		t.Errorf("%d bytes before the end", n)
	}
	if n := m.read(9001, make([]byte, 10)); n != 0 {
		t.Errorf("%d bytes behind the end", n)
	}
}
