package stream

import (
	"bytes"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzSplit reads frames of any bytes. What it takes apart can be put together
// and is the same again, whatever the frames were.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x01a\x02\x00\x00\x00\x00\x00\x00\x02bc"))
	f.Add([]byte("\x00\x00\x00\x00\xff\xff\xff\xffx"))
	f.Add([]byte("\x03\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		var out, err bytes.Buffer
		failed := Split(&out, &err, bytes.NewReader(text))
		if out.Len()+err.Len() > len(text) {
			t.Fatalf("%d bytes out of %d", out.Len()+err.Len(), len(text))
		}
		if failed != nil {
			return
		}
		var joined, out2, err2 bytes.Buffer
		for channel, payload := range map[Channel][]byte{Stdout: out.Bytes(), Stderr: err.Bytes()} {
			if _, err := NewFrameWriter(&joined, channel).Write(payload); err != nil {
				t.Fatal(err)
			}
		}
		if e := Split(&out2, &err2, &joined); e != nil || out2.String() != out.String() || err2.String() != err.String() {
			t.Errorf("%q %q became %q %q: %v", out.String(), err.String(), out2.String(), err2.String(), e)
		}
	})
}
