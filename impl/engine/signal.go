package engine

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/fault"
)

// parseSignal reads a signal as the API takes it: a number, or a name with or
// without SIG in any case; the real-time signals as RTMIN, RTMIN+n, RTMAX-n and
// RTMAX (signal(7); glibc keeps 32 and 33 for itself).
func parseSignal(s string, otherwise syscall.Signal) (syscall.Signal, error) {
	if s == "" {
		return otherwise, nil
	}
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > 64 {
			return 0, fault.Invalid("Invalid signal: %s", s)
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	const first, last = 34, 64
	n := -1
	if rest, ok := strings.CutPrefix(name, "RTMIN"); ok {
		n = offset(first, rest, "+")
	} else if rest, ok := strings.CutPrefix(name, "RTMAX"); ok {
		n = offset(last, rest, "-")
	}
	if n < first || n > last {
		return 0, fault.Invalid("Invalid signal: %s", s)
	}
	return syscall.Signal(n), nil
}

func offset(base int, rest, sign string) int {
	if rest == "" {
		return base
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, sign))
	if err != nil || !strings.HasPrefix(rest, sign) || n < 0 {
		return -1
	}
	if sign == "-" {
		n = -n
	}
	return base + n
}

func signalAttribute(sig syscall.Signal) map[string]string {
	return map[string]string{"signal": strconv.Itoa(int(sig))}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
