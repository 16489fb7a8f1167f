// Package powertest proves what docs/durability.md says: what the engine acknowledged
// is there after a loss of power, and what it had begun hinders nothing.
//
// A berthd works on a file system on a disk that records (testbed/disk). Of each answer
// it is noted how many requests the disk had taken when the client had it. Then power
// goes, again and again, at moments that are drawn, with all, none or some of the writes
// that no flush had made safe; the file system is mounted, which recovers it as after a
// real loss of power, and the engine's packages, or a whole berthd, have to find what
// was acknowledged until then, whole, and to go on.
//
// Two smaller workloads, on the databases alone and on the image store alone, are cut
// at every single request; a third, on files that are replaced, around every flush.
//
// It needs root, /dev/fuse, loop devices, the programs of bin/ ("make build") and the
// Debian packages of "make setup-test"; whatever is missing is a failure, not a skip.
// All mounts are in a mount namespace that ends with the test. Draws come from a seed
// that is printed: POWER_SEED repeats a run's draws; POWER_ROUNDS says how many
// recordings there are for each file system, POWER_CUTS how many cuts of each on ext4
// (half of that on the others), POWER_STARTS after how many a whole berthd is started.
package powertest
