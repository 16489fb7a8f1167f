package build

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/image/layer"
)

// checksum says what a file or directory is and what is in it: "file:" or "dir:"
// and a sha256 over names, kinds, permissions, links and contents. Times are no
// part of it: a context that was checked out anew is the same context.
func checksum(ctx context.Context, t *tree, p, name string, info fs.FileInfo) (string, error) {
	h := sha256.New()
	if !info.IsDir() {
		if err := sumEntry(ctx, h, t, p, name, info); err != nil {
			return "", err
		}
		return "file:" + hex.EncodeToString(h.Sum(nil)), nil
	}
	err := fs.WalkDir(t.FS(), p, func(at string, d fs.DirEntry, err error) error {
		if err != nil || at == p {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel := at
		if p != "." {
			rel = at[len(p)+1:]
		}
		return sumEntry(ctx, h, t, at, rel, info)
	})
	return "dir:" + hex.EncodeToString(h.Sum(nil)), err
}

func sumEntry(ctx context.Context, h hash.Hash, t *tree, p, name string, info fs.FileInfo) error {
	st, _ := info.Sys().(*syscall.Stat_t)
	// Quoted, so that no name can pass for the end of another entry.
	fmt.Fprintf(h, "%q %o %d %d\n", name, st.Mode, info.Size()*isFile(info), st.Rdev)
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		target, err := t.Readlink(p)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q\n", target)
	case 0:
		f, err := t.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		var value [64]byte
		if n, err := unix.Fgetxattr(int(f.Fd()), capabilityXattr, value[:]); err == nil {
			fmt.Fprintf(h, "%x\n", value[:n])
		}
		_, err = io.Copy(h, &contextReader{ctx, f})
		return err
	}
	return ctx.Err()
}

// isFile is 1 for a file: the sizes of directories are the file system's business.
func isFile(info fs.FileInfo) int64 {
	if info.Mode().IsRegular() {
		return 1
	}
	return 0
}

// isArchive says whether a file is a tar, compressed or not.
func isArchive(ctx context.Context, t *tree, p string) (bool, error) {
	f, err := t.Open(p)
	if err != nil {
		return false, err
	}
	defer f.Close()
	plain, err := layer.Decompress(ctx, f)
	if err != nil {
		return false, ctx.Err()
	}
	defer plain.Close()
	_, err = tar.NewReader(plain).Next()
	return err == nil, ctx.Err()
}

// baseOf is the last part of an address's path; empty if there is none.
func baseOf(p string) string {
	if b := path.Base(p); b != "/" && b != "." {
		return b
	}
	return ""
}
