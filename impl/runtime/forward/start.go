package forward

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Start starts the program berth-logger for one run of a container and returns
// when it is connected to the log. stream is a connection to the monitor that is
// to come; it stays the caller's, as do all files. The process ends with the
// stream and is reaped here.
func Start(ctx context.Context, program string, o *Order, stream *os.File) error {
	order, orderWrite, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	defer order.Close()
	defer orderWrite.Close()
	report, reportWrite, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	defer report.Close()
	defer reportWrite.Close()
	lock, err := os.OpenFile(o.Lock, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	defer lock.Close()
	// The lock belongs to the open file, which the process inherits.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		return fmt.Errorf("start the logger: lock %s: %w", o.Lock, err)
	}
	named := *o
	named.Run = rand.Text()
	if err := errors.Join(lock.Truncate(0), write(lock, named.Run)); err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	cmd := exec.Command(program, o.ID)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{order, reportWrite, stream, lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	_ = order.Close()
	_ = reportWrite.Close()
	if err := json.NewEncoder(orderWrite).Encode(&named); err != nil {
		return fmt.Errorf("start the logger: %w", err)
	}
	_ = orderWrite.Close()
	stop := context.AfterFunc(ctx, func() { _ = report.Close() })
	defer stop()
	answer, err := io.ReadAll(report)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("start the logger: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("start the logger: %w", err)
	case string(answer) == "ok\n":
		return nil
	case len(answer) == 0:
		return fault.Internal("%s ended without a word", program)
	}
	return fault.Internal("%s", strings.TrimSpace(string(answer)))
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
