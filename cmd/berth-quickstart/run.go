package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	client "github.com/seed-50ced230/berth/clients/go"
	"github.com/seed-50ced230/berth/gen/client/v1_23"
	"github.com/seed-50ced230/berth/gen/client/v1_23/containers"
	"github.com/seed-50ced230/berth/gen/client/v1_23/misc"
	"github.com/seed-50ced230/berth/gen/v1_23/models"
	"github.com/seed-50ced230/berth/impl/stream"
	"github.com/seed-50ced230/berth/impl/wire"
	"github.com/seed-50ced230/berth/testbed/daemon"
)

// The directory is embedded and not the file, because the file is made by
// "make build" and is not part of the source.
//
//go:embed image
var embedded embed.FS

// bridge is the default network's device, the nftables table and the cgroup.
const bridge = "berthrun0"

// greeting is what the container runs.
const greeting = `echo "Hello from container $(hostname)."
echo "I am process $$, $(id -un), on Linux $(uname -r)."
echo "My address is $(ip -o -4 addr show eth0 | tr -s ' ' | cut -d ' ' -f 4), my way out $(ip route | head -n 1 | cut -d ' ' -f 3)."
`

func run(ctx context.Context, o options) (err error) {
	if err := o.settle(); err != nil {
		return err
	}
	release, err := claim(o.dir)
	if err != nil {
		return err
	}
	defer release()
	remains := daemon.Remains{Dir: o.dir, Bridge: bridge, Cgroup: "/" + bridge}
	// What an earlier run left that was killed.
	if err := remains.Remove(); err != nil {
		return fmt.Errorf("clear %s: %w", o.dir, err)
	}
	defer func() {
		if e := remains.Remove(); e != nil {
			err = errors.Join(err, fmt.Errorf("clean up: %w", e))
		}
	}()
	if err := prepare(o.dir); err != nil {
		return err
	}
	command, err := daemon.Berth(o.berthd, o.dir, "--bridge", bridge, "--cgroup-parent", "/"+bridge)
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	engine, err := daemon.Start(starting, command)
	if err != nil {
		return err
	}
	defer func() {
		select {
		case <-engine.Ended():
		default:
			err = errors.Join(err, engine.Stop(30*time.Second))
		}
	}()
	fmt.Printf("berthd is up: %s\n", engine.Host())
	transport, err := client.New(engine.Host(), client.Options{})
	if err != nil {
		return err
	}
	if err := show(ctx, v1_23.New(transport, nil)); err != nil {
		return err
	}
	if o.once {
		return nil
	}
	fmt.Printf(`
It serves API versions 1.18 to 1.23. In another terminal:

  export DOCKER_HOST=%s DOCKER_API_VERSION=1.23
  docker run --rm -it busybox sh

or  curl --unix-socket %s http://berth/v1.23/containers/json?all=1

Its log is %s. Ctrl-C ends it and removes everything.
`, engine.Host(), engine.Socket(), engine.Log())
	select {
	case <-ctx.Done():
		fmt.Println("\nending …")
		return nil
	case <-engine.Ended():
		return fmt.Errorf("berthd has ended by itself:\n%s", daemon.Tail(engine.Log(), 4096))
	}
}

// show loads the embedded image, runs the greeting in it and prints what it
// says.
func show(ctx context.Context, api *v1_23.Berth) error {
	image, err := embedded.ReadFile("image/busybox.tar")
	if err != nil {
		return errors.New("built without its image: use make build")
	}
	var progress bytes.Buffer
	load := misc.NewImageLoadParams().WithInputArchive(io.NopCloser(bytes.NewReader(image)))
	if _, err := api.Misc.ImageLoadContext(ctx, load, &progress); err != nil {
		return fmt.Errorf("load the image: %w", err)
	}
	fmt.Printf("loaded busybox:latest (%d KiB)\n", len(image)/1024)

	began := time.Now()
	name := "hello"
	config := &models.ContainerCreateRequest{}
	config.Image, config.Cmd = "busybox:latest", wire.CommandLine{"sh", "-c", greeting}
	made, err := api.Containers.ContainerCreateContext(ctx, containers.NewContainerCreateParams().WithName(&name).WithConfig(config))
	if err != nil {
		return fmt.Errorf("create the container: %w", err)
	}
	id := made.Payload.ID
	if _, err := api.Containers.ContainerStartContext(ctx, containers.NewContainerStartParams().WithName(id)); err != nil {
		return fmt.Errorf("start the container: %w", err)
	}
	ended, err := api.Containers.ContainerWaitContext(ctx, containers.NewContainerWaitParams().WithName(id))
	if err != nil {
		return fmt.Errorf("wait for the container: %w", err)
	}
	took := time.Since(began)
	yes := true
	logs := containers.NewContainerLogsParams().WithName(id).WithStdout(&yes).WithStderr(&yes)
	var frames bytes.Buffer
	if _, err := api.Containers.ContainerLogsContext(ctx, logs, &frames); err != nil {
		return fmt.Errorf("read the container's log: %w", err)
	}
	fmt.Println()
	if err := stream.Split(os.Stdout, os.Stderr, &frames); err != nil {
		return fmt.Errorf("read the container's log: %w", err)
	}
	fmt.Printf("\nIt took %d ms from create to exit code %d.\n", took.Milliseconds(), ended.Payload.StatusCode)
	if ended.Payload.StatusCode != 0 {
		return fmt.Errorf("the container ended with %d", ended.Payload.StatusCode)
	}
	return nil
}

// prepare makes the directory and sees to it that overlayfs works there: its
// writable layers cannot lie on another overlayfs, as a container's root is.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	if err := tryOverlay(filepath.Join(dir, "try")); err == nil {
		return nil
	}
	if err := mountMemory(dir); err != nil {
		return fmt.Errorf("overlayfs does not work in %s and memory cannot be mounted there; use another --dir: %w", dir, err)
	}
	fmt.Printf("overlayfs does not work in %s: the engine's data is kept in memory\n", dir)
	return tryOverlay(filepath.Join(dir, "try"))
}
