// Package effort bounds what one input of a fuzz target may cost. Go itself does
// not: an input that never ends is stopped with the time of the whole run, as a success.
package effort

import (
	"fmt"
	"syscall"
	"time"
)

const (
	// most is the processor time that one input may take. It is not the clock's
	// time: a target may run beside much else.
	most = 10 * time.Second
	// every is how often an input that takes longer is looked at.
	every = 2 * time.Second
)

// Bound ends the process with a panic when what follows takes too long, so that
// the input is recorded. The function that it gives is deferred.
func Bound() (done func()) { return bound(most, func(text string) { panic(text) }) }

func bound(most time.Duration, fail func(string)) (done func()) {
	began := spent()
	var watch *time.Timer
	armed := make(chan struct{})
	watch = time.AfterFunc(every, func() {
		<-armed
		if took := spent() - began; took > most {
			fail(fmt.Sprintf("one input takes more than %v of processor time", took.Round(time.Second)))
			return
		}
		watch.Reset(every)
	})
	close(armed)
	return func() { watch.Stop() }
}

// spent is this process's processor time so far.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
