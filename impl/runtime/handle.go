package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/seed-50ced230/berth/impl/runtime/protocol"
)

func readHandle(dir string) (*protocol.Handle, error) {
	text, err := os.ReadFile(filepath.Join(dir, protocol.HandleName))
	if err != nil {
		return nil, err
	}
	var h protocol.Handle
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, fmt.Errorf("read the handle in %s: %w", dir, err)
	}
	if h.Version < 1 || h.Version > protocol.Version {
		return nil, fmt.Errorf("read the handle in %s: version %d is not known (up to %d)", dir, h.Version, protocol.Version)
	}
	return &h, nil
}

// dialWatch connects to a monitor, or to the shim that will become one, and
// asks to watch.
func dialWatch(ctx context.Context, dir string) (*net.UnixConn, error) {
	conn, err := dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(protocol.Request(protocol.OpWatch, 0, 0, 0)); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ask to watch: %w", err)
	}
	return conn, nil
}

// awaitStart waits for the first word of a monitor whose shim still starts the
// container. An error means that there will be none.
func awaitStart(ctx context.Context, watch *net.UnixConn) error {
	stop := context.AfterFunc(ctx, func() { _ = watch.Close() })
	defer stop()
	_, err := protocol.ReadEvent(watch)
	return err
}
