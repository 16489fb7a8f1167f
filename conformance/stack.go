package conformance

import (
	"fmt"
	"runtime"
	"strings"
)

// stack names the callers of the function that panicked, for suite errors.
func stack() string {
	pointers := make([]uintptr, 24)
	frames := runtime.CallersFrames(pointers[:runtime.Callers(4, pointers)])
	var text strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&text, "%s (%s:%d)\n", frame.Function, frame.File, frame.Line)
		if !more {
			return text.String()
		}
	}
}
