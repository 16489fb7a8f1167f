// Package slack makes the Go runtime's monitor thread (sysmon) of berth-shim wake
// less often. It sleeps for 20 µs at a time while the program works, which the
// kernel makes 70 µs, its usual timer slack (prctl(2), PR_SET_TIMERSLACK): of the
// 640 context switches of a container's life, half were such naps, and an eighth
// of its processor time. With a slack of a millisecond a goroutine waits that long,
// at most, for the place of another one that is in a system call; a shim and a
// container's first process have one goroutine that works.
//
// The half that is C sets the slack of the program's first thread before the
// runtime makes others from it; Restore is the other half.
package slack

/*
#cgo CFLAGS: -std=gnu11 -D_GNU_SOURCE -Wall -Wextra
*/
import "C"

import "golang.org/x/sys/unix"

// Restore gives the calling thread its own slack back, which is also that of the
// programs it starts or turns into. To be called on the program's first thread,
// from an init function.
func Restore() {
	// 0 is the thread's default, which it got when it was made.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
}
