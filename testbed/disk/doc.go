// Package disk serves disks that lose power. A disk is a file of a FUSE file system; a
// loop device on it turns what the kernel writes into requests that this package sees
// in their order: writes, and flushes, after which what was written before must not
// get lost. Of a disk that is recorded, further ones can be made: each holds what would
// be left if power had gone at some moment, with all, none or some of the writes that
// no flush had made safe. Those are disks as well, to be mounted and looked at.
//
// The disks are served by a process of their own. A thread that waits for a page of a
// mapped file cannot be interrupted by Go's runtime: were the pages served by the same
// process, it could wait for itself. And whoever uses the disks can be ended at any
// time: with the server the file system ends, and all that wait for it.
//
// The same with files: one that is not used as a disk (File) is read through the page
// cache, so that it can be mapped; every write to it is a request, and fsync is a flush.
package disk

// Sector is the least that a disk writes as a whole, in bytes, if nothing else is said.
const Sector = 512
