// Package cgroup2test holds the tests of a real berthd on a kernel whose control
// groups are all in the unified hierarchy (cgroup v2). "make test-cgroup2" runs
// them in a virtual machine (tools/test-cgroup2), with the driver cgroupfs and,
// below systemd, with the driver systemd. On a machine with a unified hierarchy
// of its own they run as they are: go test ./cgroup2test, as root, after make
// build.
package cgroup2test
