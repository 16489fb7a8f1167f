package build

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/seed-50ced230/berth/impl/image"
)

// turns lets stages that are taken side by side speak in the order of the
// Dockerfile: the one whose turn it is speaks at once, what the others say is
// kept until it is theirs.
type turns struct {
	dir string // for what is kept
	out Output

	mu     sync.Mutex
	voices []*voice
	turn   int
}

// voice is one stage's.
type voice struct {
	*turns
	n int
	// begun is closed when its turn comes, over says that it has nothing more to say.
	begun chan struct{}
	over  bool
	kept  *os.File
	err   error // of keeping
}

func newTurns(out Output, dir string, n int) *turns {
	t := &turns{dir: dir, out: out}
	for i := range n {
		t.voices = append(t.voices, &voice{turns: t, n: i, begun: make(chan struct{})})
	}
	close(t.voices[0].begun)
	return t
}

// output is out as this stage sees it. Progress of downloads is for the moment,
// and is not kept.
func (v *voice) output() Output {
	o := v.out
	o.Text = v.text
	if v.out.Progress != nil {
		o.Progress = func(p image.Progress) {
			if v.isOn() {
				v.out.Progress(p)
			}
		}
	}
	return o
}

func (v *voice) isOn() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.turn == v.n
}

// text says something, now or when it is this stage's turn.
func (v *voice) text(text string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.turn == v.n {
		return v.out.Text(text)
	}
	if v.kept == nil {
		if v.kept, v.err = os.CreateTemp(v.dir, "said"); v.err != nil {
			return v.err
		}
	}
	_, err := v.kept.WriteString(text)
	return err
}

// await waits for the stage's turn.
func (v *voice) await(ctx context.Context) error {
	select {
	case <-v.begun:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end passes the turn on when the stage has ended well; one that has failed keeps
// it, because nothing after it would have been said.
func (v *voice) end() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	for v.turn < len(v.voices) && v.voices[v.turn].over {
		v.turn++
		if v.turn == len(v.voices) {
			break
		}
		next := v.voices[v.turn]
		close(next.begun)
		if err := next.replay(); err != nil {
			return err
		}
	}
	return nil
}

// replay says what was kept.
func (v *voice) replay() error {
	if v.kept == nil {
		return nil
	}
	defer v.drop()
	if _, err := v.kept.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w := &textWriter{to: v.out.Text}
	if _, err := io.Copy(w, v.kept); err != nil {
		return err
	}
	return w.flush()
}

// drop forgets what was kept.
func (v *voice) drop() {
	if v.kept != nil {
		_ = v.kept.Close()
		_ = os.Remove(v.kept.Name())
		v.kept = nil
	}
}

// close ends all turns.
func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.voices {
		v.drop()
	}
}

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

// errNeeded ends a stage that waits for one that failed. The failure itself is
// told instead of it.
var errNeeded = errors.New("a stage that this one needs has failed")
