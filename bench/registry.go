package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Where each engine finds the registries, in its own network: the one that it pulls
// from, and the one that it pushes to, which is emptied before.
const (
	source = "127.0.0.1:5000"
	target = "127.0.0.1:5001"
)

func (a *arena) registryDir(address string) string { return filepath.Join(a.dir, "registry-"+address) }

// empty takes everything out of a registry. It keeps nothing in memory.
func (a *arena) empty(address string) error {
	return os.RemoveAll(filepath.Join(a.registryDir(address), "docker"))
}

// registry starts Debian's docker-registry in the engine's network. The engines'
// registries of the same address store into one directory.
func (a *arena) registry(ctx context.Context, e *engine, address string) (stop func(), err error) {
	dir := a.registryDir(address)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := dir + ".yml"
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", dir, address)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	network := fmt.Sprintf("--net=/proc/%d/ns/net", e.daemon.Pid())
	cmd := exec.CommandContext(ctx, "nsenter", network, "/usr/bin/docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the registry is missing (make setup-test): %w", err)
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	probe := fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%s", address[len("127.0.0.1:"):])
	for range 200 {
		if exec.CommandContext(ctx, "nsenter", network, "bash", "-c", probe).Run() == nil {
			return stop, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	return nil, fmt.Errorf("the registry of %s does not answer", e.name)
}
