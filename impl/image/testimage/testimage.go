// Package testimage makes small images in code, for tests and benchmarks. What
// it writes depends on its arguments only, so the same image has the same id
// everywhere.
package testimage

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strings"
	"time"
)

// File is an entry of a layer. Typeflag 0 means a regular file, or a folder
// when Name ends with a slash.
type File struct {
	Name     string
	Body     []byte
	Mode     int64 // 0 means 0644, for folders 0755
	Typeflag byte
	Linkname string
	UID, GID int
	Xattrs   map[string]string
	ModTime  time.Time // zero means Epoch
	// Devmajor and Devminor are for device nodes.
	Devmajor, Devminor int64
}

// Epoch is the date of everything that gives no other.
var Epoch = time.Date(2016, 4, 1, 12, 0, 0, 0, time.UTC)

// Image describes an image.
type Image struct {
	// Tags are full names ("busybox:latest").
	Tags []string
	// Layers are the layers' files, lowest first.
	Layers [][]File
	// Config is the container configuration as JSON fields ("Cmd", "Env", …).
	Config map[string]any
	// Comment and Author are recorded in the image.
	Comment, Author string
	// Created is the image's date; zero means Epoch.
	Created time.Time
}

// Layer writes one layer as a tar.
func Layer(files []File) ([]byte, error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Typeflag: f.Typeflag, Name: f.Name, Linkname: f.Linkname, Mode: f.Mode, Uid: f.UID, Gid: f.GID,
			Size: int64(len(f.Body)), ModTime: f.ModTime, Devmajor: f.Devmajor, Devminor: f.Devminor,
		}
		if h.ModTime.IsZero() {
			h.ModTime = Epoch
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			if strings.HasSuffix(f.Name, "/") {
				h.Typeflag = tar.TypeDir
			}
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		for k, v := range f.Xattrs {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["SCHILY.xattr."+k] = v
		}
		if err := tw.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("layer entry %q: %w", f.Name, err)
		}
		if _, err := tw.Write(f.Body); err != nil {
			return nil, fmt.Errorf("layer entry %q: %w", f.Name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// built is an image with its bytes made.
type built struct {
	id     string
	config []byte
	layers [][]byte
	names  []string // of the layers, hex
	tags   []string
}

func (img Image) build() (*built, error) {
	b := &built{tags: img.Tags}
	created := img.Created
	if created.IsZero() {
		created = Epoch
	}
	var diffs []string
	var steps []history
	for i, files := range img.Layers {
		l, err := Layer(files)
		if err != nil {
			return nil, err
		}
		b.layers = append(b.layers, l)
		b.names = append(b.names, hexsum(l))
		diffs = append(diffs, "sha256:"+hexsum(l))
		steps = append(steps, history{created, fmt.Sprintf("/bin/sh -c #(nop) ADD layer %d", i+1)})
	}
	config := map[string]any{
		"architecture": "amd64", "os": "linux", "created": created, "docker_version": "1.11.2",
		"config":           merge(emptyConfig(), img.Config),
		"container_config": emptyConfig(),
		"history":          steps,
		"rootfs":           map[string]any{"type": "layers", "diff_ids": diffs},
	}
	if img.Comment != "" {
		config["comment"] = img.Comment
	}
	if img.Author != "" {
		config["author"] = img.Author
	}
	var err error
	if b.config, err = json.Marshal(config); err != nil {
		return nil, err
	}
	b.id = hexsum(b.config)
	return b, nil
}

func emptyConfig() map[string]any {
	return map[string]any{
		"Hostname": "", "Domainname": "", "User": "", "AttachStdin": false, "AttachStdout": false, "AttachStderr": false,
		"Tty": false, "OpenStdin": false, "StdinOnce": false, "Env": nil, "Cmd": nil, "Image": "", "Volumes": nil,
		"WorkingDir": "", "Entrypoint": nil, "OnBuild": nil, "Labels": nil,
	}
}

func merge(a, b map[string]any) map[string]any {
	for k, v := range b {
		a[k] = v
	}
	return a
}

func hexsum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ID returns the id that the image has once it is loaded ("sha256:…").
func (img Image) ID() (string, error) {
	b, err := img.build()
	if err != nil {
		return "", err
	}
	return "sha256:" + b.id, nil
}

// Write writes images as an archive that docker load reads (manifest.json form).
func Write(w io.Writer, images ...Image) error {
	tw := tar.NewWriter(w)
	type item struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	var items []item
	written := map[string]bool{}
	put := func(name string, body []byte) error {
		if written[name] {
			return nil
		}
		written[name] = true
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: Epoch}); err != nil {
			return err
		}
		_, err := tw.Write(body)
		return err
	}
	for _, img := range images {
		b, err := img.build()
		if err != nil {
			return err
		}
		it := item{Config: b.id + ".json", RepoTags: b.tags}
		for i, l := range b.layers {
			name := b.names[i] + "/layer.tar"
			it.Layers = append(it.Layers, name)
			if err := put(name, l); err != nil {
				return err
			}
		}
		if err := put(it.Config, b.config); err != nil {
			return err
		}
		items = append(items, it)
	}
	doc, err := json.Marshal(items)
	if err != nil {
		return err
	}
	if err := put("manifest.json", doc); err != nil {
		return err
	}
	return tw.Close()
}

// WriteLegacy writes one image in the form of Docker before 1.10: repositories
// and a folder with VERSION, json and layer.tar for each layer.
func WriteLegacy(w io.Writer, img Image) error {
	b, err := img.build()
	if err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	put := func(name string, body []byte) error {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(body)), ModTime: Epoch}); err != nil {
			return err
		}
		_, err := tw.Write(body)
		return err
	}
	parent := ""
	for i, l := range b.layers {
		id := hexsum([]byte(parent + " " + b.names[i]))
		doc := map[string]any{
			"id": id, "created": Epoch, "architecture": "amd64", "os": "linux", "docker_version": "1.8.3",
			"container_config": merge(emptyConfig(), map[string]any{"Cmd": []string{"/bin/sh", "-c", fmt.Sprintf("#(nop) ADD layer %d", i+1)}}),
			"Size":             len(l),
		}
		if parent != "" {
			doc["parent"] = parent
		}
		if i == len(b.layers)-1 {
			doc["config"] = merge(emptyConfig(), img.Config)
		}
		js, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: id + "/", Mode: 0o755, ModTime: Epoch}); err != nil {
			return err
		}
		for _, f := range []struct {
			name string
			body []byte
		}{{"VERSION", []byte("1.0")}, {"json", js}, {"layer.tar", l}} {
			if err := put(id+"/"+f.name, f.body); err != nil {
				return err
			}
		}
		parent = id
	}
	repos := map[string]map[string]string{}
	for _, t := range b.tags {
		repo, tag := t, "latest"
		if at := strings.LastIndexByte(t, ':'); at > strings.LastIndexByte(t, '/') {
			repo, tag = t[:at], t[at+1:]
		}
		if repos[repo] == nil {
			repos[repo] = map[string]string{}
		}
		repos[repo][tag] = parent
	}
	js, err := json.Marshal(repos)
	if err != nil {
		return err
	}
	if err := put("repositories", js); err != nil {
		return err
	}
	return tw.Close()
}

// Busybox is an image with the statically linked busybox program at path:
// /bin with links for the applets, the users and groups and folders that
// programs expect, PATH set and sh as its command.
func Busybox(busybox string, tags ...string) (Image, error) {
	program, err := os.ReadFile(busybox)
	if err != nil {
		return Image{}, fmt.Errorf("busybox image: %w", err)
	}
	return Image{
		Tags:   tags,
		Layers: [][]File{rootfs(program)},
		Config: map[string]any{
			"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			"Cmd": []string{"sh"},
		},
	}, nil
}

// applets are what Debian's busybox-static offers and scripts use, in /bin.
const applets = `[ [[ ar arping ash awk basename bc blkid bunzip2 bzcat bzip2 cal cat chgrp chmod chown chroot chvt clear cmp cp cpio cttyhack
cut date dc dd df diff dirname dmesg dnsdomainname dos2unix du echo ed egrep env expand expr factor fallocate false fgrep find flock fold free
getopt grep groups gunzip gzip head hexdump hostid hostname httpd id ifconfig ionice ip ipcalc kill killall last less link ln logger login
logname logread ls lsmod lsscsi lzcat lzma md5sum mkdir mkfifo mknod mktemp more mount mt mv nc netstat nl nproc nslookup nuke od paste patch
pidof ping ping6 printf ps pwd readlink realpath renice reset rev rm rmdir route run-parts sed seq setsid sh sha1sum sha256sum sha512sum shred
shuf sleep sort split stat strings stty su sync sysctl tac tail tar tee telnet test tftp time timeout top touch tr traceroute true truncate tty
umount uname uncompress unexpand uniq unix2dos unlink unlzma unxz unzip uptime usleep uudecode uuencode vi w watch wc wget which who whoami
xargs xxd xz xzcat yes zcat`

func rootfs(busybox []byte) []File {
	files := []File{
		{Name: "bin/"}, {Name: "dev/"}, {Name: "etc/"}, {Name: "home/"}, {Name: "proc/"}, {Name: "root/", Mode: 0o700}, {Name: "sys/"},
		{Name: "tmp/", Mode: 0o1777}, {Name: "usr/"}, {Name: "usr/bin/"}, {Name: "usr/sbin/"}, {Name: "sbin/"}, {Name: "var/"},
		{Name: "var/spool/"}, {Name: "var/tmp/", Mode: 0o1777}, {Name: "var/www/"}, {Name: "var/run", Typeflag: tar.TypeSymlink, Linkname: "../run", Mode: 0o777},
		{Name: "run/"},
		{Name: "bin/busybox", Body: busybox, Mode: 0o755},
		{Name: "etc/passwd", Body: []byte("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nbin:x:2:2:bin:/bin:/bin/false\nsys:x:3:3:sys:/dev:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\noperator:x:37:37:Operator:/var:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n")},
		{Name: "etc/group", Body: []byte("root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nwheel:x:10:root\nwww-data:x:33:\nusers:x:100:\nnogroup:x:65534:\n")},
		{Name: "etc/shadow", Body: []byte("root:*:16892:0:99999:7:::\nnobody:*:16892:0:99999:7:::\n"), Mode: 0o640},
		{Name: "etc/nsswitch.conf", Body: []byte("passwd: files\ngroup: files\nhosts: files dns\n")},
		{Name: "etc/profile", Body: []byte("export PS1='\\w \\$ '\n")},
	}
	names := strings.Fields(applets)
	sort.Strings(names)
	for _, n := range names {
		files = append(files, File{Name: path.Join("bin", n), Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777})
	}
	return files
}
