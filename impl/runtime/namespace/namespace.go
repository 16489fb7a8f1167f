// Package namespace is the part of berth-shim that makes a network namespace in
// a user namespace that is there already, for a container that shares it with
// another. It is C, run from a constructor: Go programs have several threads from
// the start on, and none of them may change its user namespace.
//
// The program gets the user namespace as descriptor 3 and writes a byte to its
// standard output when it is in the new one; there it stays until its standard
// input ends. An error goes to its standard error output.
package namespace

/*
#cgo CFLAGS: -std=gnu11 -D_GNU_SOURCE -Wall -Wextra
*/
import "C"
