package forward

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

// frames is what a monitor sends: the reply to an attach, data in pieces of any
// size, the end.
func frames(r *rand.Rand, out, err []byte, end bool) []byte {
	b := make([]byte, 40) // protocol.ReadAttachReply
	second := uint64(0)
	binary.NativeEndian.PutUint32(b, 0x48545242)
	for len(out)+len(err) > 0 {
		from, kind := &out, byte(protocol.StreamStdout)
		if len(out) == 0 || len(err) > 0 && r.IntN(2) == 0 {
			from, kind = &err, protocol.StreamStderr
		}
		n := min(len(*from), r.IntN(50000)+1)
		second++
		b = append(b, protocol.StreamTime, 0, 0, 0, 0, 0, 0, 16)
		b = binary.NativeEndian.AppendUint64(b, second)
		b = binary.NativeEndian.AppendUint64(b, 0)
		b = append(b, kind, 0, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		b = append(b, (*from)[:n]...)
		*from = (*from)[n:]
	}
	if end {
		b = append(b, make([]byte, protocol.FrameHeader)...)
	}
	return b
}

// Lines come out as they went in, whatever the frames; long ones in pieces that
// cut no character.
func TestSplit(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		text := func() []byte {
			var b strings.Builder
			for range r.IntN(40) {
				b.WriteString(strings.Repeat([]string{"x", "é", "€", "😀"}[r.IntN(4)], r.IntN(20000)))
				b.WriteString([]string{"", "\n", "\n\n"}[r.IntN(3)])
			}
			return []byte(b.String())
		}
		out, errs := text(), text()
		var got [3]strings.Builder
		var at time.Time
		err := split(bytes.NewReader(frames(r, out, errs, true)), func(rec record) {
			if len(rec.text) > lineMax || !utf8.ValidString(rec.text) {
				t.Errorf("seed %d: a record of %d bytes, valid: %v", seed, len(rec.text), utf8.ValidString(rec.text))
			}
			got[rec.stream].WriteString(rec.text)
			if !rec.partial {
				got[rec.stream].WriteByte('\n')
			}
			if rec.at.Unix() < 1 || rec.at.Before(at) {
				t.Errorf("seed %d: a record of %v after one of %v", seed, rec.at, at)
			}
			at = rec.at
			whole := map[byte][]byte{protocol.StreamStdout: out, protocol.StreamStderr: errs}[rec.stream]
			if written := min(got[rec.stream].Len(), len(whole)); rec.end != int64(written) {
				t.Errorf("seed %d: a record ends at %d, want %d", seed, rec.end, written)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for kind, want := range map[byte][]byte{protocol.StreamStdout: out, protocol.StreamStderr: errs} {
			if len(want) > 0 && want[len(want)-1] != '\n' {
				want = append(want, '\n') // the last line has no line feed of its own
			}
			if got[kind].String() != string(want) {
				t.Errorf("seed %d, stream %d: %d bytes, want %d", seed, kind, got[kind].Len(), len(want))
			}
		}
	}
}

func TestSplitWithoutEnd(t *testing.T) {
	n := 0
	err := split(bytes.NewReader(frames(rand.New(rand.NewPCG(1, 1)), []byte("a\nb"), nil, false)), func(record) { n++ })
	if err == nil || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
}

// A log that fails for a moment loses nothing.
func TestForwarderTriesAgain(t *testing.T) {
	var got []string
	fails := 3
	f := forwarder{order: &Order{}, to: func(r record) error {
		if fails--; fails >= 0 {
			return errors.New("not now")
		}
		got = append(got, r.text)
		return nil
	}}
	for i := range 5 {
		f.take(record{text: fmt.Sprint(i)})
	}
	if strings.Join(got, "") != "01234" || f.lost != 0 {
		t.Errorf("got %q, lost %d", got, f.lost)
	}
}
