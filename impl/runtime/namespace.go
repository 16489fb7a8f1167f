package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
)

// NetworkNamespace makes a network namespace that belongs to a user namespace
// which is there already. It is gone with the last file, mount or process that
// holds it.
func (r *Runtime) NetworkNamespace(ctx context.Context, user *os.File) (*os.File, error) {
	f, err := r.networkNamespace(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("make a network namespace in another container's user namespace: %w", err)
	}
	return f, nil
}

func (r *Runtime) networkNamespace(ctx context.Context, user *os.File) (_ *os.File, err error) {
	var stderr bytes.Buffer
	var cmd *exec.Cmd
	var stdin io.WriteCloser
	var stdout io.ReadCloser
	err = r.shim.use(func(path string, _ *os.File) error {
		cmd = exec.CommandContext(ctx, path)
		cmd.Args = []string{"berth-shim", "network-namespace"}
		cmd.Env, cmd.Dir, cmd.Stderr, cmd.ExtraFiles = []string{}, "/", &stderr, []*os.File{user}
		var err error
		if stdin, err = cmd.StdinPipe(); err != nil {
			return err
		}
		if stdout, err = cmd.StdoutPipe(); err != nil {
			return err
		}
		return cmd.Start()
	})
	if err != nil {
		return nil, err
	}
	_, readErr := io.ReadFull(stdout, make([]byte, 1))
	var f *os.File
	if readErr == nil {
		f, err = os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/ns/net")
	}
	_ = stdin.Close()
	if waitErr := cmd.Wait(); err == nil && (waitErr != nil || readErr != nil) {
		if f != nil {
			_ = f.Close()
		}
		return nil, fmt.Errorf("%w: %s", errors.Join(waitErr, readErr), stderr.Bytes())
	}
	return f, err
}
