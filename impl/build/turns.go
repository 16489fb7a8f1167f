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
// kept until it is theirs. What is kept is bounded: a stage that says more waits.
//
// A stage waits for earlier ones only: for those that it needs, and for its turn.
// The one exception is a step that another stage is taking (flights), so a stage
// that waits for its turn gives up the step it has before, and the first stage
// that is not over always goes on.
type turns struct {
	dir    string // for what is kept
	out    Output
	limits Limits

	mu     sync.Mutex
	voices []*voice
	turn   int
	held   int64 // bytes that are kept, of all stages
}

// voice is one stage's.
type voice struct {
	*turns
	n int
	// begun is closed when its turn comes, over says that it has nothing more to say.
	begun chan struct{}
	over  bool
	kept  *os.File
	size  int64 // bytes that are kept
}

func newTurns(out Output, dir string, n int, limits Limits) *turns {
	t := &turns{dir: dir, out: out, limits: limits}
	for i := range n {
		t.voices = append(t.voices, &voice{turns: t, n: i, begun: make(chan struct{})})
	}
	close(t.voices[0].begun)
	return t
}

// output is out as this stage sees it. Progress of downloads is for the moment,
// and is not kept. Before the stage waits for its turn, yield is called; ctx ends
// the waiting.
func (v *voice) output(ctx context.Context, yield func()) Output {
	o := v.out
	o.Text = func(text string) error {
		said, err := v.text(text)
		if said || err != nil {
			return err
		}
		yield()
		if err := v.await(ctx); err != nil {
			return err
		}
		_, err = v.text(text)
		return err
	}
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

// text says something now, or keeps it for this stage's turn. If there is no
// room it says that it has done neither; at the stage's turn there always is.
func (v *voice) text(text string) (said bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.turn == v.n {
		return true, v.out.Text(text)
	}
	n := int64(len(text))
	if v.size+n > v.limits.StageOutput || v.held+n > v.limits.Output {
		return false, nil
	}
	if v.kept == nil {
		if v.kept, err = os.CreateTemp(v.dir, "said"); err != nil {
			return false, err
		}
	}
	v.size += n
	v.held += n
	_, err = v.kept.WriteString(text)
	return err == nil, err
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
		v.held -= v.size
		v.size = 0
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

// errNeeded ends a stage that waits for one that failed. The failure itself is
// told instead of it.
var errNeeded = errors.New("a stage that this one needs has failed")
