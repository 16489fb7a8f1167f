package engine

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

var errDetached = errors.New("the client detached")

// defaultDetachKeys are ctrl-p ctrl-q.
var defaultDetachKeys = [...]byte{16, 17}

// parseDetachKeys reads a comma separated list of single characters and
// ctrl-<value>, value being a–z, @, ^, [, comma or _ (v1.22 reference, attach,
// detachKeys). Empty means ctrl-p,ctrl-q.
func parseDetachKeys(s string) ([]byte, error) {
	if s == "" {
		return defaultDetachKeys[:], nil
	}
	var keys []byte
	for _, key := range strings.Split(s, ",") {
		ctrl, isCtrl := strings.CutPrefix(strings.ToLower(key), "ctrl-")
		switch {
		case isCtrl && len(ctrl) == 1 && ctrl[0] >= 'a' && ctrl[0] <= 'z':
			keys = append(keys, ctrl[0]-'a'+1)
		case isCtrl && ctrl == "@":
			keys = append(keys, 0)
		case isCtrl && ctrl == "[":
			keys = append(keys, 27)
		case isCtrl && ctrl == "\\":
			keys = append(keys, 28)
		case isCtrl && ctrl == "]":
			keys = append(keys, 29)
		case isCtrl && ctrl == "^":
			keys = append(keys, 30)
		case isCtrl && ctrl == "_":
			keys = append(keys, 31)
		case len(key) == 1:
			keys = append(keys, key[0])
		default:
			return nil, fault.Invalid("Invalid detach keys provided: %q is neither a character nor ctrl-<value>", key)
		}
	}
	return keys, nil
}

// escapeReader passes a terminal's input on until the detach keys come. Keys
// that begin like them are held back until it is clear that they are not.
type escapeReader struct {
	r    io.Reader
	keys []byte
	held int    // how many of keys have been seen
	out  []byte // ready to be returned
	err  error
}

func (e *escapeReader) Read(p []byte) (int, error) {
	for len(e.out) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		buf := make([]byte, max(len(p), 64))
		n, err := e.r.Read(buf)
		for _, b := range buf[:n] {
			if b == e.keys[e.held] {
				if e.held++; e.held == len(e.keys) {
					e.err = errDetached
					break
				}
				continue
			}
			e.out = append(e.out, e.keys[:e.held]...)
			e.held = 0
			if b == e.keys[0] && len(e.keys) > 1 {
				e.held = 1
				continue
			}
			e.out = append(e.out, b)
		}
		if err != nil && e.err == nil {
			e.out = append(e.out, e.keys[:e.held]...)
			e.held, e.err = 0, err
		}
	}
	n := copy(p, e.out)
	e.out = bytes.Clone(e.out[n:])
	return n, nil
}
