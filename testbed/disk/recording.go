package disk

import "math/rand/v2"

// Mode says what a disk that loses power keeps of the writes that it took after the
// last flush. What it took before, it keeps in any case.
type Mode int

const (
	// Everything: all that it took.
	Everything Mode = iota
	// Nothing of it.
	Nothing
	// Some of it: each write entirely, not at all, or some of its sectors.
	Some
	// Torn is all but a part of the last write, of which the first sectors are there.
	Torn
)

// Modes are all of them.
var Modes = []Mode{Everything, Nothing, Some, Torn}

func (m Mode) String() string {
	return [...]string{"everything", "nothing unsynced", "something unsynced", "torn"}[m]
}

// Cut says when power goes and what the disk keeps.
type Cut struct {
	// At is the number of requests that the disk had taken.
	At   int
	Mode Mode
	// Seed decides what Some and Torn leave to chance.
	Seed uint64
}

// Kind is what a request asks of a disk.
type Kind int

const (
	// Write changes some bytes.
	Write Kind = iota
	// Flush makes all writes before it safe.
	Flush
	// Resize changes the size of a file that is no disk.
	Resize
)

// Request is what a recording tells of a request.
type Request struct {
	Kind Kind
	// At and Size are its place in bytes; Size is the new one for Resize.
	At, Size int64
}

type request struct {
	Request
	data []byte
}

// Range is a part of a disk, in bytes; To is behind it.
type Range struct{ From, To int64 }

// recording is what a disk took, and what it held before.
type recording struct {
	base     *image
	requests []request
	// sector is the unit in which writes are torn, atomic are the parts where none is.
	sector int
	atomic []Range
	// points are at every step-th request.
	points []point
}

// point is what a disk holds after a number of requests: all of it, and what
// is safe.
type point struct {
	all, safe *image
	// flushed is the number of requests that safe has.
	flushed int
}

const step = 128

func (r *recording) take(q request) { r.requests = append(r.requests, q) }

// until goes on from the nearest point to that after n requests.
func (r *recording) until(n int) point {
	if len(r.points) == 0 {
		r.points = append(r.points, point{all: r.base, safe: r.base})
	}
	for len(r.points) <= n/step {
		last := len(r.points) - 1
		r.points = append(r.points, r.forward(r.points[last], last*step, (last+1)*step))
	}
	return r.forward(r.points[n/step], n/step*step, n)
}

func (r *recording) forward(p point, from, to int) point {
	last := to - 1 // the last flush, where a copy is made
	for last >= from && r.requests[last].Kind != Flush {
		last--
	}
	p.all = p.all.clone()
	for i, q := range r.requests[from:to] {
		p.all.apply(q)
		if from+i == last {
			p.safe, p.flushed = p.all.clone(), last+1
		}
	}
	return p
}

func (m *image) apply(q request) {
	switch q.Kind {
	case Write:
		m.write(q.At, q.data)
	case Resize:
		m.resize(q.Size)
	}
}

// tearable says whether a part of a request may be done.
func (r *recording) tearable(q request) bool {
	for _, a := range r.atomic {
		if q.At < a.To && a.From < q.At+q.Size {
			return false
		}
	}
	return q.Kind == Write
}

// cut gives what the disk holds after power went.
func (r *recording) cut(c Cut) *image {
	random := rand.New(rand.NewPCG(c.Seed, uint64(c.At)))
	switch c.Mode {
	case Nothing:
		return r.until(c.At).safe.clone()
	case Some:
		p := r.until(c.At)
		kept := p.safe.clone()
		share := random.Float64() // of the writes that get lost
		for _, q := range r.requests[p.flushed:c.At] {
			switch {
			case random.Float64() < share:
			case r.tearable(q) && random.IntN(4) == 0:
				for at := 0; at < len(q.data); at += r.sector {
					if random.IntN(2) == 0 {
						kept.write(q.At+int64(at), q.data[at:min(at+r.sector, len(q.data))])
					}
				}
			default:
				kept.apply(q)
			}
		}
		return kept
	case Torn:
		if c.At == 0 || !r.tearable(r.requests[c.At-1]) {
			break
		}
		kept := r.until(c.At - 1).all
		last := r.requests[c.At-1]
		sectors := (len(last.data) + r.sector - 1) / r.sector
		kept.write(last.At, last.data[:min(random.IntN(sectors)*r.sector, len(last.data))])
		return kept
	}
	return r.until(c.At).all.clone()
}
