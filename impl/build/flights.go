package build

import (
	"context"
	"sync"
)

// flights has the same step taken once where stages that run side by side come to
// it at the same time: the second one waits and finds it in the cache.
type flights struct {
	mu   sync.Mutex
	keys map[string]chan struct{}
}

// board waits until nobody takes the step and gives the function that says that
// it has been taken.
func (f *flights) board(ctx context.Context, key string) (land func(), err error) {
	for {
		f.mu.Lock()
		other, taken := f.keys[key]
		if !taken {
			mine := make(chan struct{})
			if f.keys == nil {
				f.keys = map[string]chan struct{}{}
			}
			f.keys[key] = mine
			f.mu.Unlock()
			return sync.OnceFunc(func() {
				f.mu.Lock()
				delete(f.keys, key)
				f.mu.Unlock()
				close(mine)
			}), nil
		}
		f.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
