// Package fieldtest proves what a container can ask for. It starts a berthd of
// its own and speaks the raw API to it, at every version that documents what is
// tried:
//
//   - the table of fields (rows_*_test.go) has a row for each field of the body
//     of POST /containers/create, which shows the field's effect from inside a
//     running container, and what inspect answers;
//   - the table of refusals (refusals_test.go) has what Docker Engine refuses,
//     with its statuses and texts;
//   - what operations on containers refuse is asked of Docker Engine 20.10, too
//     (docker_test.go); testdata/docker.json has each difference with its reason.
//     BERTH_DIFFERENCES=FILE writes those of this run, without reasons;
//   - the tests of user namespaces have a second engine, with --userns-remap;
//   - the tests of lists and states hold inspect and list to what is the case.
//
// It needs root, the programs of bin/ ("make build") and dockerd.
package fieldtest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/busybox"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// What the engine of these tests makes carries this name, which no other
// engine's things have.
const (
	bridge  = "berthfield0"
	address = "10.216.0.1/22"
	cgroup  = "/" + bridge
)

// atATime is how many tests talk to the engine at the same time.
const atATime = "6"

var (
	binaries = flag.String("bin", "../bin", "`directory` of berthd and berth-shim")
	further  = flag.String("berthd-flags", "", "further `flags` of the engine, such as --userns-remap=default")
)

// The suite's engine. TestMain sets these before the tests and nothing changes
// them afterwards.
var (
	// own is the running daemon.
	own side
	// scratch is a directory for the tests, removed at the end.
	scratch string
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == flag.Lookup("test.parallel").DefValue {
		_ = flag.Set("test.parallel", atATime)
	}
	if os.Getenv(insideEnv) == "" {
		os.Exit(inside())
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "field tests:", err)
		code = 1
	}
	os.Exit(code)
}

// insideEnv marks the process that runs the tests.
const insideEnv = "BERTH_FIELDS_INSIDE"

// inside runs the tests in a mount namespace of their own, where the machine's
// /etc can be written to and stays as it is: an engine may make a user there.
func inside() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "field tests need root and namespaces:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// coverEtc puts a directory over the machine's /etc that takes what is written.
func coverEtc(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_SLAVE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("isolate the mounts: %w", err)
	}
	upper, work := filepath.Join(dir, "etc"), filepath.Join(dir, "etc-work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		return err
	}
	if err := syscall.Mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("cover /etc: %w", err)
	}
	return nil
}

func run(m *testing.M) (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("a container engine needs root: run them as root")
	}
	release, err := takeTurns()
	if err != nil {
		return 1, err
	}
	defer release()
	// /tmp and not TMPDIR: a socket's path must be short.
	if scratch, err = os.MkdirTemp("/tmp", "berth-fields-"); err != nil {
		return 1, err
	}
	remains := daemon.Remains{Dir: filepath.Join(scratch, "engine"), Bridge: bridge, Cgroup: cgroup}
	defer func() {
		if e := errors.Join(remains.Remove(), os.RemoveAll(scratch)); e != nil {
			code, err = 1, errors.Join(err, e)
		}
	}()
	// Containers' users pass through here to what they may see.
	if err := os.Chmod(scratch, 0o711); err != nil {
		return 1, err
	}
	if err := coverEtc(scratch); err != nil {
		return 1, err
	}
	engine, err := startBerth(remains.Dir, bridge, address, strings.Fields(*further)...)
	if err != nil {
		return 1, err
	}
	// The tests' own directories are looked at for leaks, too.
	own = newSide(engine, scratch, bridge)
	defer func() {
		if e := own.stop(); e != nil {
			code, err = 1, errors.Join(err, e)
		}
	}()
	if err := own.makeImages(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// startBerth starts a berthd in dir whose things have a name of their own.
func startBerth(dir, name, address string, further ...string) (*daemon.Daemon, error) {
	program, err := filepath.Abs(filepath.Join(*binaries, "berthd"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("berthd is not built (make build): %w", err)
	}
	command, err := daemon.Berth(program, dir, slices.Concat([]string{"--bridge", name, "--bip", address, "--cgroup-parent", "/" + name, "--debug"}, further)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return daemon.Start(ctx, command)
}

// takeTurns waits until no other run of these tests is at work on the machine.
func takeTurns() (release func(), err error) {
	lock, err := os.OpenFile("/tmp/berth-fields.lock", os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return func() { lock.Close() }, nil
}

// The images of these tests: busybox, and one made from it with content and a
// configuration.
const (
	plainImage = "busybox"
	richImage  = "rich:1"
)

// richSetup makes the files of richImage: a directory with content, a user in
// two groups, a program that may not be run.
const richSetup = `mkdir -p /content/sub && echo from-image >/content/file && chmod 750 /content && chown -R 1234:2345 /content
echo 'worker:x:1234:2345:a worker:/home/worker:/bin/sh' >>/etc/passwd
echo 'crew:x:2345:' >>/etc/group; echo 'extra:x:3456:worker' >>/etc/group; echo 'more:x:4567:' >>/etc/group
echo text >/notaprogram && chmod 644 /notaprogram`

// richConfig is the configuration of richImage.
var richConfig = object{
	"Env": list{"FROM_IMAGE=yes", "BOTH=image"}, "Cmd": list{"echo", "image-cmd"}, "Entrypoint": list{"/bin/echo", "image-entrypoint"},
	"Labels": object{"of": "image", "both": "image"}, "WorkingDir": "/content/sub", "ExposedPorts": object{"4000/tcp": object{}},
	"Volumes": object{"/imagevolume": object{}}, "User": "worker", "StopSignal": "SIGUSR2",
}

func (s side) makeImages() error {
	var image bytes.Buffer
	if err := busybox.Archive(&image, plainImage+":latest"); err != nil {
		return err
	}
	if a, err := s.request(http.MethodPost, "/v1.23/images/load?quiet=1", &image, "application/x-tar"); err != nil || a.status != http.StatusOK {
		return fmt.Errorf("load the busybox image: %v %v", a, err)
	}
	made, err := s.requestJSON(http.MethodPost, "/v1.23/containers/create?name=rich", object{"Image": plainImage, "Cmd": list{"sh", "-c", richSetup}})
	if err != nil || made.status != http.StatusCreated {
		return fmt.Errorf("make the rich image: %v %v", made, err)
	}
	for _, step := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/v1.23/containers/rich/start", nil},
		{"POST", "/v1.23/containers/rich/wait", nil},
		{"POST", "/v1.23/commit?container=rich&repo=rich&tag=1", richConfig},
		{"DELETE", "/v1.23/containers/rich?v=1", nil},
	} {
		if a, err := s.requestJSON(step.method, step.path, step.body); err != nil || a.status >= 300 {
			return fmt.Errorf("make the rich image: %s %s: %v %v", step.method, step.path, a, err)
		}
	}
	return nil
}
