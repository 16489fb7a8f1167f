package effort

import (
	"testing"
	"time"
)

// TestBound has work that never ends noticed, and not what waits or has ended.
func TestBound(t *testing.T) {
	said := make(chan string, 10)
	fail := func(text string) { said <- text }
	bound(time.Hour, fail)()
	done := bound(100*time.Millisecond, fail)
	defer done()
	for end := time.Now().Add(30 * time.Second); len(said) == 0; {
		if time.Now().After(end) {
			t.Fatal("work without an end is not noticed")
		}
	}
	if len(said) != 1 {
		t.Errorf("it is told %d times", len(said))
	}
}
