// Package fault makes the errors that a client of the engine sees: a text in
// the words of the API and a class from github.com/containerd/errdefs.
//
// The class is set where the error arises and is tested with errors.Is or the
// errdefs.IsX functions; the edge (impl/api) maps it to a status. The text of a
// fault never contains the class's own words, because clients of the Remote
// API print the answer's body as it is.
package fault

import (
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
)

// fault is a message with a class. cause may be nil.
type fault struct {
	class error
	text  string
	cause error
}

func (f *fault) Error() string { return f.text }

// Unwrap exposes the class and the cause, so that errors.Is finds both.
func (f *fault) Unwrap() []error {
	if f.cause == nil {
		return []error{f.class}
	}
	return []error{f.class, f.cause}
}

// ErrNotModified says that the object is already in the state that was asked
// for; the edge answers 304 without a body.
var ErrNotModified = errors.New("not modified")

// ErrNotAcceptable says that the request cannot be met in the object's
// present shape (status 406 of the containers section).
var ErrNotAcceptable = errors.New("not acceptable")

func build(class error, format string, args []any) error {
	err := fmt.Errorf(format, args...)
	f := &fault{class: class, text: err.Error()}
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		f.cause = w.Unwrap()
	case interface{ Unwrap() []error }:
		f.cause = errors.Join(w.Unwrap()...)
	}
	return f
}

// NotFound is a fault of class errdefs.ErrNotFound (status 404). Verb %w keeps a cause.
func NotFound(format string, args ...any) error { return build(errdefs.ErrNotFound, format, args) }

// Conflict is a fault of class errdefs.ErrConflict (status 409).
func Conflict(format string, args ...any) error { return build(errdefs.ErrConflict, format, args) }

// Invalid is a fault of class errdefs.ErrInvalidArgument (status 400).
func Invalid(format string, args ...any) error {
	return build(errdefs.ErrInvalidArgument, format, args)
}

// Forbidden is a fault of class errdefs.ErrPermissionDenied (status 403).
func Forbidden(format string, args ...any) error {
	return build(errdefs.ErrPermissionDenied, format, args)
}

// Unauthorized is a fault of class errdefs.ErrUnauthenticated (status 401).
func Unauthorized(format string, args ...any) error {
	return build(errdefs.ErrUnauthenticated, format, args)
}

// Unimplemented is a fault of class errdefs.ErrNotImplemented (status 501).
func Unimplemented(format string, args ...any) error {
	return build(errdefs.ErrNotImplemented, format, args)
}

// Unavailable is a fault of class errdefs.ErrUnavailable (status 503).
func Unavailable(format string, args ...any) error {
	return build(errdefs.ErrUnavailable, format, args)
}

// Internal is a fault of class errdefs.ErrInternal (status 500): the engine or
// the machine failed, not the client.
func Internal(format string, args ...any) error { return build(errdefs.ErrInternal, format, args) }

// NotModified is a fault of class ErrNotModified (status 304).
func NotModified(format string, args ...any) error { return build(ErrNotModified, format, args) }

// NotAcceptable is a fault of class ErrNotAcceptable (status 406).
func NotAcceptable(format string, args ...any) error {
	return build(ErrNotAcceptable, format, args)
}
