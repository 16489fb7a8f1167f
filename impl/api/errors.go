package api

import (
	"errors"
	"net/http"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/fault"
)

// statuses maps the classes of errors to statuses: the only place in the
// repository that does.
var statuses = [...]struct {
	class  error
	status int
}{
	{errNoPage, http.StatusNotFound},
	{fault.ErrNotModified, http.StatusNotModified},
	{fault.ErrNotAcceptable, http.StatusNotAcceptable},
	{errdefs.ErrInvalidArgument, http.StatusBadRequest},
	{errdefs.ErrOutOfRange, http.StatusBadRequest},
	{errdefs.ErrUnauthenticated, http.StatusUnauthorized},
	{errdefs.ErrPermissionDenied, http.StatusForbidden},
	{errdefs.ErrNotFound, http.StatusNotFound},
	{errdefs.ErrAlreadyExists, http.StatusConflict},
	{errdefs.ErrConflict, http.StatusConflict},
	{errdefs.ErrFailedPrecondition, http.StatusConflict},
	{errdefs.ErrNotImplemented, http.StatusNotImplemented},
	{errdefs.ErrUnavailable, http.StatusServiceUnavailable},
	{errdefs.ErrResourceExhausted, http.StatusServiceUnavailable},
	{errdefs.ErrInternal, http.StatusInternalServerError},
}

// errNoPage says that no operation has this method and path.
var errNoPage = errors.New("404 page not found")

// errEnding tells a client whose request the daemon's end has cut short.
var errEnding = fault.Unavailable("the daemon is ending")

// statusOf is the status of the outermost class in err's tree, 500 if there is
// none: a failure that wraps a "not found" of its cause is not one itself.
func statusOf(err error) int {
	if status := classStatus(err); status != 0 {
		return status
	}
	return http.StatusInternalServerError
}

func classStatus(err error) int {
	if err == nil {
		return 0
	}
	own, _ := err.(interface{ Is(error) bool })
	for _, row := range &statuses {
		if err == row.class || own != nil && own.Is(row.class) { // one node of the tree, not the tree
			return row.status
		}
	}
	switch wrapper := err.(type) { // the walk itself
	case interface{ Unwrap() error }:
		return classStatus(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if status := classStatus(inner); status != 0 {
				return status
			}
		}
	}
	return 0
}

// writeError answers with an error as versions before 1.24 do: its text and a
// newline, except for statuses that have no body.
func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusNotModified {
		w.Header().Set("X-Content-Type-Options", "nosniff") // as with other refusals
		w.WriteHeader(status)
		return
	}
	http.Error(w, err.Error(), status)
}
