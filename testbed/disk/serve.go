package disk

import (
	"context"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// role is the environment variable that makes a test's own program the server of disks.
const role = "BERTH_TEST_DISKS"

// Main is called first by the TestMain of packages that use Start. In the process that
// is to be the server it does not return.
func Main() {
	if os.Getenv(role) == "" {
		return
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "disks:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// maxWrite is the most that a request carries, in bytes.
const maxWrite = 1 << 20

// serve serves the file system that Start has mounted and does what comes over standard
// input until that ends.
func serve() error {
	// An interrupt of the terminal is for the tests, which end this process.
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT)
	root := &directory{files: map[string]*file{}}
	options := &fs.Options{MountOptions: fuse.MountOptions{
		FsName: "disks", Name: "berth", MaxWrite: maxWrite, DisableXAttrs: true, DisableSplice: true,
	}}
	_, err := fs.Mount("/dev/fd/3", root, options)
	if err != nil {
		return fmt.Errorf("serve the disks: %w", err)
	}
	control := rpc.NewServer()
	if err := control.RegisterName("Disks", &Control{root}); err != nil {
		return err
	}
	control.ServeConn(pipes{os.Stdin, os.Stdout})
	// Whoever used the disks is gone or done with them.
	return nil
}

// pipes are the two ways of a connection.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipes) Close() error {
	p.ReadCloser.Close()
	return p.WriteCloser.Close()
}

// directory is the root, with the disks.
type directory struct {
	fs.Inode
	mu    sync.Mutex
	files map[string]*file
}

var (
	_ fs.NodeLookuper  = (*directory)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeFlusher   = (*file)(nil)
	_ fs.NodeAllocater = (*file)(nil)
)

func (d *directory) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	f := d.file(name)
	if f == nil {
		return nil, syscall.ENOENT
	}
	f.mu.Lock()
	f.attributes(&out.Attr)
	f.mu.Unlock()
	return d.NewInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFREG}), fs.OK
}

func (d *directory) file(name string) *file {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[name]
}

// file is a disk, or a file that is mapped.
type file struct {
	fs.Inode
	disk bool

	mu      sync.Mutex
	content *image
	// taken is nil for what is not recorded.
	taken *recording
}

func (f *file) attributes(a *fuse.Attr) {
	a.Mode, a.Nlink = syscall.S_IFREG|0o600, 1
	a.Size, a.Blksize = uint64(f.content.size), pageSize
	a.Blocks = (a.Size + 511) / 512
}

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attributes(&out.Attr)
	return fs.OK
}

func (f *file) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	if size, ok := in.GetSize(); ok && int64(size) != f.content.size {
		if f.disk {
			return syscall.EPERM
		}
		f.take(request{Request: Request{Kind: Resize, Size: int64(size)}})
	}
	f.attributes(&out.Attr)
	return fs.OK
}

// Open makes a disk's requests go past the page cache: each write comes here before it
// returns, as it was made.
func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if f.disk {
		return nil, fuse.FOPEN_DIRECT_IO, fs.OK
	}
	return nil, 0, fs.OK
}

func (f *file) Read(_ context.Context, _ fs.FileHandle, into []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fuse.ReadResultData(into[:f.content.read(at, into)]), fs.OK
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.disk && at+int64(len(data)) > f.content.size {
		return 0, syscall.ENOSPC
	}
	// The buffer is the library's.
	f.take(request{Request{Write, at, int64(len(data))}, append([]byte(nil), data...)})
	return uint32(len(data)), fs.OK
}

func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.take(request{Request: Request{Kind: Flush}})
	return fs.OK
}

// Flush is close(2), which makes nothing safe.
func (f *file) Flush(context.Context, fs.FileHandle) syscall.Errno { return fs.OK }

// Allocate refuses what a loop device makes of discarded blocks and of ranges of zeros:
// the kernel then writes the zeros.
func (f *file) Allocate(context.Context, fs.FileHandle, uint64, uint64, uint32) syscall.Errno {
	return syscall.EOPNOTSUPP
}

// take does a request. The caller holds mu.
func (f *file) take(q request) {
	f.content.apply(q)
	if f.taken != nil {
		f.taken.take(q)
	}
}
