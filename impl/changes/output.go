package changes

import "github.com/seed-50ced230/berth/impl/stream"

// rewriter changes the values of a stream of JSON lines, or leaves some out.
type rewriter struct {
	stream.Output
	// rewrite gives the value to send instead of v; false: send none. It does
	// not change v, which others may see too.
	rewrite func(v any) (any, bool)
}

func (r *rewriter) Encode(v any) error {
	v, send := r.rewrite(v)
	if !send {
		return nil
	}
	return r.Output.Encode(v)
}

// survivor is an output that takes everything, also when the client has gone
// away, so that the operation goes on.
type survivor struct {
	stream.Output
	gone bool
}

func (s *survivor) Write(p []byte) (int, error) {
	if !s.gone {
		if _, err := s.Output.Write(p); err != nil {
			s.gone = true
		}
	}
	return len(p), nil
}

func (s *survivor) Encode(v any) error {
	if !s.gone && s.Output.Encode(v) != nil {
		s.gone = true
	}
	return nil
}

func (s *survivor) Begin() error {
	if !s.gone && s.Output.Begin() != nil {
		s.gone = true
	}
	return nil
}
