package buildtest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// contextOf copies a directory of testdata, gives all files one time, and adds
// what prepare has for it.
func contextOf(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	if add, ok := prepare[name]; ok {
		add(t, dir)
	}
	at := time.Date(2016, 5, 4, 3, 2, 1, 0, time.UTC)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		// The umask with which a working tree was made is nobody's business.
		mode := fs.FileMode(0o644) | info.Mode()&0o100
		if d.IsDir() || mode&0o100 != 0 {
			mode = 0o755
		}
		if err := os.Chmod(p, mode); err != nil {
			return err
		}
		return os.Chtimes(p, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// prepare adds to contexts what cannot lie in a repository.
var prepare = map[string]func(t *testing.T, dir string){
	"archives": func(t *testing.T, dir string) {
		pack(t, dir, "plain.tar", "tree/", "tree/file=a file", "tree/link->file", "own/", "own/file=500:600:theirs")
		pack(t, dir, "over.tar", "tree/file=another", "tree/new=1")
		for suffix, command := range map[string]string{"gz": "gzip -n", "bz2": "bzip2", "xz": "xz"} {
			shell(t, dir, command+" < plain.tar > compressed.tar."+suffix)
		}
		shell(t, dir, "echo text | gzip -n > text.gz")
	},
	"users": func(t *testing.T, dir string) { pack(t, dir, "packed.tar", "p/", "p/file=7:8:x") },
	"copies": func(t *testing.T, dir string) {
		shell(t, dir, "ln -s one link; mkdir links; ln -s ../one links/up; ln -s /etc/passwd links/abs; ln -s nowhere links/dangling")
	},
	"go-static":      programs,
	"go-tested":      programs,
	"debian-apt":     mirror,
	"debian-dpkg":    mirror,
	"maintainers":    func(t *testing.T, dir string) { pack(t, dir, "rootfs.tar", "etc/", "etc/os=none") },
	"scratch-rootfs": func(t *testing.T, dir string) { rootfs(t, dir) },
	"many-files": func(t *testing.T, dir string) {
		for i := range 600 {
			p := filepath.Join(dir, fmt.Sprintf("d%d", i%6), fmt.Sprintf("s%d", i%7), fmt.Sprintf("f%d", i))
			write(t, p, fmt.Sprint(i))
		}
	},
}

// programs takes away the suffix that keeps a module in testdata from the tools
// that look at this one.
func programs(t *testing.T, dir string) {
	shell(t, dir, `find . -name '*.txt' | while read -r f; do mv "$f" "${f%.txt}"; done`)
}

func rootfs(t *testing.T, dir string) {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err)
	}
	pack(t, dir, "rootfs.tar", "bin/", "bin/busybox="+string(program), "bin/sh->busybox", "tmp/", "etc/", "etc/passwd=root:x:0:0::/:/bin/sh\n")
}

func write(t *testing.T, p, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func shell(t *testing.T, dir, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

// pack writes a tar of "dir/", "file=text", "file=uid:gid:text" and "link->target".
func pack(t *testing.T, dir, name string, entries ...string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: time.Unix(1e9, 0)}
		text := ""
		if at, to, ok := strings.Cut(e, "->"); ok && !strings.Contains(at, "=") {
			h.Name, h.Linkname, h.Typeflag = at, to, tar.TypeSymlink
		} else if at, body, ok := strings.Cut(e, "="); ok {
			h.Name, h.Typeflag, text = at, tar.TypeReg, body
			if n, _ := fmt.Sscanf(body, "%d:%d:", &h.Uid, &h.Gid); n == 2 {
				text = body[strings.LastIndexByte(body, ':')+1:]
			}
			h.Size = int64(len(text))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name), b.String())
}

// mirror makes two Debian packages and the index by which apt finds them.
func mirror(t *testing.T, dir string) {
	data := filepath.Join(t.TempDir(), "data")
	write(t, filepath.Join(data, "DEBIAN", "control"), "Package: berth-data\nVersion: 1.2-3\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: what to greet\n")
	write(t, filepath.Join(data, "DEBIAN", "conffiles"), "/etc/berth-hello.conf\n")
	write(t, filepath.Join(data, "etc", "berth-hello.conf"), "world\n")
	write(t, filepath.Join(data, "usr", "share", "berth-data", "greeting"), "hello\n")
	hello := filepath.Join(filepath.Dir(data), "hello")
	write(t, filepath.Join(hello, "DEBIAN", "control"), "Package: berth-hello\nVersion: 2.0\nArchitecture: all\nDepends: berth-data (>= 1.0)\nMaintainer: Nobody <nobody@example.com>\nDescription: greets\n")
	write(t, filepath.Join(hello, "DEBIAN", "postinst"), "#!/bin/sh\nset -e\nmkdir -p /var/lib/berth-hello\nchown 77:88 /var/lib/berth-hello\nchmod 2770 /var/lib/berth-hello\n")
	write(t, filepath.Join(hello, "usr", "bin", "berth-hello"), "#!/bin/sh\necho $(cat /usr/share/berth-data/greeting) $(cat /etc/berth-hello.conf)\n")
	shell(t, filepath.Dir(data), "umask 022; chmod 755 hello/DEBIAN/postinst hello/usr/bin/berth-hello; mkdir -p "+dir+"/mirror; find data hello -exec touch -h -d 2015-01-02 {} +; "+
		"SOURCE_DATE_EPOCH=1430000000 dpkg-deb --root-owner-group -b data "+dir+"/mirror/berth-data_1.2-3_all.deb; SOURCE_DATE_EPOCH=1430000000 dpkg-deb --root-owner-group -b hello "+dir+"/mirror/berth-hello_2.0_all.deb")
	shell(t, filepath.Join(dir, "mirror"), `for f in *.deb; do dpkg-deb -f $f; printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $f $(stat -c %s $f) $(sha256sum < $f | cut -d' ' -f1); done > Packages; test -s Packages`)
}
