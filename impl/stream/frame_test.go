package stream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFrames(t *testing.T) {
	var wire bytes.Buffer
	stdout, stderr := NewFrameWriter(&wire, Stdout), NewFrameWriter(&wire, Stderr)
	for _, write := range []struct {
		w    io.Writer
		text string
	}{{stdout, "out1"}, {stderr, "err"}, {stdout, ""}, {stdout, strings.Repeat("x", 70000)}} {
		if n, err := io.WriteString(write.w, write.text); n != len(write.text) || err != nil {
			t.Fatalf("%d %v", n, err)
		}
	}
	if want := "\x01\x00\x00\x00\x00\x00\x00\x04out1\x02\x00\x00\x00\x00\x00\x00\x03err\x01\x00\x00\x00\x00\x01\x11\x70x"; !strings.HasPrefix(wire.String(), want) {
		t.Errorf("%.40q", wire.String())
	}
	all := wire.String()
	var out, err bytes.Buffer
	if e := Split(&out, &err, strings.NewReader(all)); e != nil || out.String() != "out1"+strings.Repeat("x", 70000) || err.String() != "err" {
		t.Errorf("%v %.20q %q", e, out.String(), err.String())
	}
	for _, cut := range []int{1, 7, 9, len(all) - 1} {
		if e := Split(io.Discard, io.Discard, strings.NewReader(all[:cut])); !errors.Is(e, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d bytes: %v", cut, e)
		}
	}
	if e := Split(io.Discard, io.Discard, strings.NewReader("\x07\x00\x00\x00\x00\x00\x00\x00")); e == nil {
		t.Error("unknown channel accepted")
	}
}

// short takes only part of what it is given.
type short struct{ n int }

func (s short) Write([]byte) (int, error) { return s.n, nil }

func TestShortWrite(t *testing.T) {
	for n, want := range map[int]int{0: 0, 5: 0, 8: 0, 10: 2} {
		if got, err := NewFrameWriter(short{n}, Stdout).Write([]byte("text")); got != want || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%d taken: %d %v", n, got, err)
		}
	}
}
