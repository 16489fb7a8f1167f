// Package stream holds what crosses the seam between the edge and the engine
// besides parameters and models: the output of a streaming operation, hijacked
// connections, websockets and the frames in which stdout and stderr share one
// connection. It knows HTTP, but neither routes nor operations.
package stream

import (
	"io"
	"net/http"
)

// Output is where a streaming operation writes its answer.
//
// Nothing is sent before the first Write, Encode or Begin; until then the
// operation may return an error and the client gets it as a plain error
// answer with its own status. From then on the status is out: an error that
// the operation returns ends the stream, as an error line if the stream is made
// of JSON lines that report progress, else by cutting the connection, so that the client
// cannot take what it has for complete.
//
// An Output is used by one goroutine at a time.
type Output interface {
	// Write sends bytes. Every call reaches the client at once, except for
	// archives, which fill packets first.
	io.Writer

	// Encode sends one JSON value as a line. A value of the operation's
	// documented model is sent in the shape of the client's version.
	Encode(v any) error

	// Header gives the answer's headers, to be changed before Begin.
	Header() http.Header

	// SetContentType replaces the content type of the document.
	SetContentType(mediaType string)

	// Begin sends status and headers now, for a stream whose first byte may be
	// long in coming. A second call does nothing.
	Begin() error

	// Started tells whether status and headers are out.
	Started() bool
}

// Told is an error that needs no answer any more: the client has been told, or
// is gone. It is for the log only.
type Told struct{ Err error }

func (t *Told) Error() string { return t.Err.Error() }

// Unwrap gives the error that the client was told.
func (t *Told) Unwrap() error { return t.Err }
