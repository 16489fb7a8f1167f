package runtime

import (
	"context"
	"fmt"

	"github.com/seed-50ced230/berth/impl/runtime/forward"
)

// startForwarder starts a process that takes the output of a container that is
// not started yet. The attachment is only good for Spec.Attachments: the
// process has the reading end.
func (r *Runtime) startForwarder(ctx context.Context, o *forward.Order) (*Attachment, error) {
	conn, peer, err := socketPair()
	if err != nil {
		return nil, err
	}
	a := &Attachment{conn: conn, peer: peer, out: newSpool(r.opts.Spool, 0), ready: make(chan struct{})}
	stream, err := conn.File()
	if err != nil {
		_ = a.Close()
		return nil, fmt.Errorf("hand a connection to the logger: %w", err)
	}
	defer stream.Close()
	_, err = conn.Write(AttachOptions{Stdout: true, Stderr: true, times: true}.request())
	if err == nil {
		err = forward.Start(ctx, r.opts.Logger, o, stream)
	}
	if err != nil {
		_ = a.Close()
		return nil, &StartError{Code: 128, Text: fmt.Sprintf("Failed to initialize logging driver: %v", err)}
	}
	return a, nil
}
