package daemon

import (
	"fmt"
	"os"
	"path/filepath"
)

// Berth is the command line of a berthd in dir: dir/data, dir/exec,
// dir/berth.sock. program is the path of berthd; its berth-shim lies beside it.
// Further flags come last, so that they may override.
func Berth(program, dir string, further ...string) (Command, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Command{}, err
	}
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return Command{}, err
	}
	c := Command{
		Name:   "berthd",
		Socket: filepath.Join(dir, "berth.sock"),
		Log:    filepath.Join(dir, "berthd.log"),
		Args: append([]string{
			program, "-H", "unix://" + filepath.Join(dir, "berth.sock"),
			// A file of our own, so that the machine's is not read.
			"--config-file", config,
			"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
			"--pidfile", filepath.Join(dir, "berthd.pid"),
		}, further...),
	}
	return c, checkSocket(c.Socket)
}

// Docker is the command line of a Docker Engine in dir: dir/data, dir/exec,
// dir/docker.sock. It is isolated, because a second dockerd in one network
// namespace would share docker0 and its rules with the first.
func Docker(program, dir string, further ...string) (Command, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Command{}, err
	}
	config := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return Command{}, err
	}
	c := Command{
		Name:     "dockerd",
		Socket:   filepath.Join(dir, "docker.sock"),
		Log:      filepath.Join(dir, "dockerd.log"),
		Isolated: true,
		Args: append([]string{
			program, "-H", "unix://" + filepath.Join(dir, "docker.sock"), "--config-file", config,
			"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
			"--pidfile", filepath.Join(dir, "dockerd.pid"),
		}, further...),
	}
	return c, checkSocket(c.Socket)
}

// checkSocket refuses paths that do not fit into a socket address (unix(7):
// 108 bytes with the final zero).
func checkSocket(path string) error {
	if len(path) > 107 {
		return fmt.Errorf("socket %s: a path of %d bytes, at most 107 are possible; use a shorter directory", path, len(path))
	}
	return nil
}
