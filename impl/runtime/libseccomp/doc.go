// Package seccomp stands in for github.com/seccomp/libseccomp-golang in
// berth-shim (a replace directive in go.mod). It offers what libcontainer uses
// of it, hands everything on to the real package, and remembers one thing: the
// program that libseccomp compiles a filter to. Compiling Docker's default
// profile takes libseccomp 11–14 ms, at every start and in the container's
// first process, where nobody else can do it; looking the program up takes
// 0.1 ms. The alternative would be to change libcontainer.
//
// It also takes the name of a whole profile in place of its rules (Prefix).
//
// A program is found under the SHA-256 of every call that made its filter, so
// that a filter that differs in anything is compiled as usual. The programs
// come with the executable: see Table.
package seccomp
