package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/seed-50ced230/berth/impl/runtime/defaults"
	"github.com/seed-50ced230/berth/testbed/busybox"
)

// ociRuntime is a program with runc's command line.
type ociRuntime struct {
	name, path, root string
	bundle           string
	lives            atomic.Int64 // several at a time
}

// live is runc run: create, start, wait and delete in one.
func (r *ociRuntime) live() error {
	return r.command("run", "--bundle", r.bundle, fmt.Sprintf("berthbench-%s-%d", r.name, r.lives.Add(1)))
}

func (r *ociRuntime) command(args ...string) error {
	cmd := exec.Command(r.path, append([]string{"--root", r.root}, args...)...)
	out := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", r.name, args[0], err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// makeBundle makes a bundle whose configuration is what berth gives a container
// without a network: the same namespaces, capabilities, seccomp profile,
// mounts, masked paths and device rules. Its root is a plain directory; the
// engines mount an overlay and write a log besides.
func makeBundle(dir string) (string, error) {
	root := filepath.Join(dir, "rootfs")
	if err := extract(root); err != nil {
		return "", err
	}
	host, err := defaults.HostCapabilities()
	if err != nil {
		return "", err
	}
	granted, _, err := defaults.Grant(host, nil, nil, false)
	if err != nil {
		return "", err
	}
	profile, err := new(defaults.Profiles).Default(granted)
	if err != nil {
		return "", err
	}
	s, err := defaults.Spec(defaults.Options{Capabilities: granted, Seccomp: profile})
	if err != nil {
		return "", err
	}
	s.Version = "1.0.2" // older runtimes refuse newer ones
	s.Process.Args, s.Process.Env = []string{"true"}, []string{"PATH=/bin", "HOME=/root"}
	s.Hostname = "bench"
	s.Root = &specs.Root{Path: "rootfs"}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace})
	s.Linux.CgroupsPath = "" // of the runtime's own choice
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644)
}

// extract unpacks the busybox layer, which holds files, directories and
// symlinks only.
func extract(root string) error {
	var layer bytes.Buffer
	if err := busybox.Layer(&layer); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for r := tar.NewReader(&layer); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, h.FileInfo().Mode())
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, path)
		default:
			var content []byte
			if content, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, content, h.FileInfo().Mode().Perm())
			}
		}
		if err != nil {
			return err
		}
	}
}
