package powertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/testbed/disk"
)

// filesystem is a kind of file system that the data root may be on.
type filesystem struct {
	name, mount string
	make        []string
	megabytes   int64
	// The rest is what the file system itself demands of a disk. ext4 and btrfs have
	// superblocks of more than a sector, with checksums; xfs does not replay what it
	// has written to a block of which a part, with the number of the newest change, is
	// there.
	superblocks []disk.Range
	sector      int
}

// The journals are small, so that they come around; nothing is made later in the
// background; nothing is discarded at the beginning, because the disk is new.
var filesystems = []filesystem{
	{"ext4", "", []string{"mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"}, 128, []disk.Range{{From: 0, To: 4096}}, 0},
	{"xfs", "nouuid", []string{"mkfs.xfs", "-q", "-K"}, 320, nil, 4096},
	{"btrfs", "", []string{"mkfs.btrfs", "-q", "-K"}, 256, []disk.Range{{From: 64 << 10, To: 68 << 10}, {From: 64 << 20, To: 64<<20 + 4096}}, 0},
}

// fresh makes a disk with an empty file system that is recorded.
func (f filesystem) fresh(t *testing.T, s *disk.Server, name string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, f.megabytes<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(f.make[0], append(f.make[1:], path)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", f.make, err, out)
	}
	if err := s.Make(disk.Made{Name: name, Path: path, Disk: true, Recorded: true, Sector: f.sector, Atomic: f.superblocks}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// unmount ends the use of a disk.
func (f filesystem) unmount(target string) error {
	// What is still at work below (a container that just ended) lets go in a moment.
	var err error
	for range 500 {
		if err = unix.Unmount(target, 0); !errors.Is(err, unix.EBUSY) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", target, errors.Join(err, unix.Unmount(target, unix.MNT_DETACH)))
	}
	if f.name == "btrfs" {
		return forgetDevices()
	}
	return nil
}

// forgetDevices has btrfs forget the disks of before: one that is older than another
// of the same file system would be refused (BTRFS_IOC_FORGET_DEV, linux/btrfs.h).
func forgetDevices() error {
	control, err := os.OpenFile("/dev/btrfs-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	const forget = 0x50009405
	var all [4096]byte // no path: all of them
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, control.Fd(), forget, uintptr(unsafe.Pointer(&all))); errno != 0 {
		return fmt.Errorf("have btrfs forget disks: %w", errno)
	}
	return nil
}

// trial is a recording whose disk loses power again and again.
type trial struct {
	*ledger
	filesystem
	server *disk.Server
	// name is the recorded disk, target where those are mounted that are left.
	name, dir, target string
	requests          []disk.Request
	tried             int
	// since is the moment at which power had gone before, -1 if it had not: what the
	// ledger has is as of then.
	since int
}

// newTrial takes the requests of a recorded disk that is no longer in use.
func newTrial(t *testing.T, s *disk.Server, f filesystem, name string, l *ledger) *trial {
	t.Helper()
	r := &trial{ledger: l, filesystem: f, server: s, name: name, since: -1}
	r.dir, r.target = place(t)
	var err error
	if r.requests, err = s.Requests(name); err != nil {
		t.Fatal(err)
	}
	return r
}

// after mounts what a disk is after a loss of power, and calls f.
func (r *trial) after(c disk.Cut, f func() error) error {
	left, err := r.left(c, false, f)
	return errors.Join(err, r.server.Drop(left))
}

// left is after with a disk that stays, and may be recorded itself.
func (r *trial) left(c disk.Cut, recorded bool, f func() error) (left string, err error) {
	r.tried++
	left = fmt.Sprintf("%s-%d", r.name, r.tried)
	if err := r.server.Lose(disk.Loss{From: r.name, To: left, Cut: c, Recorded: recorded}); err != nil {
		return left, err
	}
	if err := r.server.Mount(left, r.filesystem.name, r.target, r.mount); err != nil {
		return left, err
	}
	err = f()
	return left, errors.Join(err, r.unmount(r.target))
}

// look cuts power and looks at what is left.
func (r *trial) look(c disk.Cut) (wrong []string) {
	err := r.after(c, func() error { wrong = r.found(c); return nil })
	if err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// found looks at what is mounted after power went.
func (r *trial) found(c disk.Cut) []string {
	at := c.At
	if r.since >= 0 {
		at = r.since
	}
	found := look(r.target)
	return append(found.complaints, r.compare(at, found.things)...)
}

// again cuts power, and so many times once more while the disk recovers and what is on
// it is looked at.
func (r *trial) again(c disk.Cut, random *rand.Rand, n int) (wrong []string) {
	left, err := r.left(c, true, func() error { wrong = r.found(c); return nil })
	second := *r
	second.name, second.since, second.tried = left, c.At, 0
	if err == nil {
		second.requests, err = r.server.Requests(left)
	}
	for i := 0; i < n && err == nil; i++ {
		c := disk.Cut{At: random.IntN(len(second.requests) + 1), Mode: disk.Modes[random.IntN(len(disk.Modes))], Seed: random.Uint64()}
		for _, w := range second.look(c) {
			wrong = append(wrong, fmt.Sprintf("and again after %d of %d requests, with %v: %s", c.At, len(second.requests), c.Mode, w))
		}
	}
	r.tried += second.tried
	if err = errors.Join(err, r.server.Drop(left)); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// cuts draws so many moments and modes: most when a client had just got an answer, with
// nothing of what was not safe then; others around flushes; others anywhere.
func (r *trial) cuts(random *rand.Rand, n int) (list []disk.Cut) {
	moments := r.moments()
	random.Shuffle(len(moments), func(i, j int) { moments[i], moments[j] = moments[j], moments[i] })
	var flushes []int
	for i, q := range r.requests {
		if q.Kind == disk.Flush {
			flushes = append(flushes, i)
		}
	}
	for i := range n {
		c := disk.Cut{Mode: disk.Modes[random.IntN(len(disk.Modes))], Seed: random.Uint64()}
		switch {
		case i < min(len(moments), n*2/3): // each of them once, if there is time
			c.At, c.Mode = moments[i], disk.Nothing
		case random.IntN(4) == 0:
			c.At = moments[random.IntN(len(moments))]
		case random.IntN(2) == 0:
			c.At = min(flushes[random.IntN(len(flushes))]+random.IntN(2), len(r.requests))
		default:
			c.At = random.IntN(len(r.requests) + 1)
		}
		list = append(list, c)
	}
	return list
}
