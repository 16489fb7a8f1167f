package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// meeting has the commands of several stages run at the same time, or fail.
type meeting struct {
	Containers
	want    int32
	running atomic.Int32
	met     chan struct{}
}

func (m *meeting) Run(ctx context.Context, id string, output io.Writer) (int, error) {
	if m.running.Add(1) == m.want {
		close(m.met)
	}
	select {
	case <-m.met:
	case <-time.After(20 * time.Second):
		return 0, errors.New("the commands do not run side by side")
	}
	return m.Containers.Run(ctx, id, output)
}

const sideBySide = `FROM busybox AS one
RUN echo first; sleep 0.3; echo still first; echo 1 > /one
FROM busybox AS two
RUN echo second; echo 2 > /two
FROM busybox
COPY --from=one /one /one
COPY --from=two /two /two
RUN cat /one /two
`

// Stages that need nothing of each other run side by side, and what is said is
// said in the order of the Dockerfile.
func TestStagesSideBySide(t *testing.T) {
	p := newPlace(t)
	p.Containers = &meeting{Containers: p.processes, want: 2, met: make(chan struct{})}
	img := p.must(contextOf(t, sideBySide))
	p.expect(img, "/one", map[string]string{})
	want := `Step 1 : FROM busybox AS one
 ---> ID
Step 2 : RUN echo first; sleep 0.3; echo still first; echo 1 > /one
 ---> Running in ID
first
still first
 ---> ID
Removing intermediate container ID
Step 3 : FROM busybox AS two
 ---> ID
Step 4 : RUN echo second; echo 2 > /two
 ---> Running in ID
second
 ---> ID
Removing intermediate container ID
Step 5 : FROM busybox
 ---> ID
Step 6 : COPY --from=one /one /one
 ---> ID
Removing intermediate container ID
Step 7 : COPY --from=two /two /two
 ---> ID
Removing intermediate container ID
Step 8 : RUN cat /one /two
 ---> Running in ID
1
2
 ---> ID
Removing intermediate container ID
Successfully built ID
`
	if got := p.transcript(); got != want {
		t.Errorf("said:\n%s\nwant:\n%s", got, want)
	}
}

// A step that two stages come to at the same time is taken once.
func TestStagesShareSteps(t *testing.T) {
	p := newPlace(t)
	p.must(contextOf(t, "FROM busybox AS one\nRUN sleep 0.2; echo shared > /shared\nRUN echo 1 > /one\nFROM busybox\nRUN sleep 0.2; echo shared > /shared\nRUN echo 2 > /two\nCOPY --from=one /one /one\n"))
	if p.hits() != 1 || strings.Count(p.said.String(), "Running in") != 3 {
		t.Errorf("said:\n%s", p.transcript())
	}
}

// The first failure in the order of the Dockerfile is the build's, whichever
// comes first: what is before it is told whole, what is after it is cancelled and
// leaves nothing.
func TestStageFails(t *testing.T) {
	for name, test := range map[string]struct {
		dockerfile, failure string
		said, unsaid        []string
	}{
		"the second at once": {
			"FROM busybox AS one\nRUN sleep 0.3; echo whole\nFROM busybox\nRUN echo before; exit 3\n", "echo before; exit 3",
			[]string{"whole\n", "before\n"}, nil,
		},
		"the first after a while": {
			"FROM busybox AS one\nRUN sleep 0.3; exit 4\nFROM busybox AS two\nRUN sleep 100; echo needless\nFROM busybox\nCOPY --from=one /file /f\n", "sleep 0.3; exit 4",
			[]string{"Step 2 "}, []string{"Step 3 ", "Step 4 "},
		},
		"one that another needs": {
			"FROM busybox AS one\nRUN exit 5\nFROM one\nRUN echo needless\nFROM busybox\nCOPY --from=one /file /f\n", "exit 5",
			[]string{"Step 2 "}, []string{"Step 3 "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, keep := range []bool{false, true} {
				p := newPlace(t)
				began := time.Now()
				_, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, test.dockerfile)), Remove: !keep})
				var exit *ExitError
				if !errors.As(err, &exit) || !strings.HasSuffix(exit.Command, test.failure) {
					t.Errorf("the build failed with %v", err)
				}
				if time.Since(began) > 50*time.Second {
					t.Error("what was not needed was not cancelled")
				}
				for _, text := range test.said {
					if !strings.Contains(p.transcript(), text) {
						t.Errorf("%q is not in\n%s", text, p.transcript())
					}
				}
				for _, text := range test.unsaid {
					if strings.Contains(p.transcript(), text) {
						t.Errorf("%q is in\n%s", text, p.transcript())
					}
				}
				// Kept are the containers that the client has heard of.
				for id := range p.processes.made {
					if !strings.Contains(p.said.String(), short(id)) {
						t.Errorf("container %s is left, and the client does not know", short(id))
					}
				}
			}
		})
	}
}

// kept is the number of bytes that builds keep of stages that are not yet told.
func (p *place) kept() (sum int64) {
	files, _ := filepath.Glob(filepath.Join(p.Root, "build*", "said*"))
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			sum += st.Size()
		}
	}
	return sum
}

// awaitKept waits until stages that are not yet told have said so many bytes.
func (p *place) awaitKept(ctx context.Context, size int64) error {
	for p.kept() < size {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// What a stage says before its turn is kept up to a bound. A stage that says more
// waits, and if it is taking a step that an earlier one wants, the earlier one takes
// that step itself: each would wait for the other.
func TestStageOutputBound(t *testing.T) {
	const bound = 64 << 10
	p := newPlace(t)
	p.Limits.StageOutput, p.Limits.Output = bound, bound
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	runs := &watchedRuns{Containers: p.processes}
	p.Containers = runs
	runs.before = func() {
		if n := p.kept(); n > bound {
			t.Errorf("%d bytes are kept", n)
		}
	}
	id, err := p.buildUntil(ctx, &Request{
		Context: bytes.NewReader(contextOf(t, "FROM slow AS one\nRUN seq 30000\nFROM busybox AS two\nRUN seq 30000\nFROM busybox\nRUN true\n")), Remove: true,
		Fetch: func(ctx context.Context, name string) error {
			// The first stage begins when the second one is in the middle of its step.
			if err := p.awaitKept(ctx, bound/2); err != nil {
				return err
			}
			_, err := p.Images.Tag(ctx, "busybox", "slow", "")
			return err
		},
	})
	if err != nil {
		t.Fatalf("%v, after\n%.2000s", err, p.transcript())
	}
	if _, err := p.Images.Get(id.String()); err != nil {
		t.Error(err)
	}
	if n := runs.n.Load(); n != 3 {
		t.Errorf("%d commands ran instead of 3: a stage went on beyond what is kept", n)
	}
	var seq strings.Builder
	for i := range 30000 {
		fmt.Fprintln(&seq, i+1)
	}
	step := "Step %d : FROM %s AS %s\n ---> ID\nStep %d : RUN seq 30000\n ---> Running in ID\n" + seq.String() + " ---> ID\nRemoving intermediate container ID\n"
	want := fmt.Sprintf(step, 1, "slow", "one", 2) + fmt.Sprintf(step, 3, "busybox", "two", 4)
	if !strings.HasPrefix(p.transcript(), want) {
		t.Errorf("what was said is not whole, or in another order: %d bytes instead of %d", p.said.Len(), len(want))
	}
}

// watchedRuns counts commands.
type watchedRuns struct {
	Containers
	n      atomic.Int32
	before func()
}

func (w *watchedRuns) Run(ctx context.Context, id string, output io.Writer) (int, error) {
	w.n.Add(1)
	w.before()
	return w.Containers.Run(ctx, id, output)
}

// All stages of a build share a bound, too.
func TestBuildOutputBound(t *testing.T) {
	var said strings.Builder
	turns := newTurns(Output{Text: func(s string) error { said.WriteString(s); return nil }}, t.TempDir(), 3, Limits{StageOutput: 10, Output: 15})
	defer turns.close()
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan int, 3)
	text := func(ctx context.Context, n int) func(string) error {
		return turns.voices[n].output(ctx, func() { waits <- n }).Text
	}
	for i, s := range []string{"12345", "67890", "abcde"} {
		if err := text(ctx, []int{1, 1, 2}[i])(s); err != nil {
			t.Fatal(err)
		}
	}
	third := make(chan error)
	go func() { third <- text(t.Context(), 2)("f") }()
	if n := <-waits; n != 2 {
		t.Fatalf("stage %d waits", n)
	}
	second := make(chan error)
	go func() { second <- text(ctx, 1)("x") }()
	<-waits
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	if err := text(t.Context(), 0)("first "); err != nil {
		t.Error(err)
	}
	for _, v := range turns.voices[:2] {
		if err := v.end(); err != nil {
			t.Error(err)
		}
	}
	if err := <-third; err != nil {
		t.Error(err)
	}
	if said.String() != "first 1234567890abcdef" {
		t.Errorf("said %q", said.String())
	}
}

// A stage that prints for ever before its turn ends with the client.
func TestStageOutputCancelled(t *testing.T) {
	p := newPlace(t)
	p.Limits.StageOutput = 64 << 10
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = p.awaitKept(t.Context(), 32<<10)
		cancel()
	}()
	_, err := p.buildUntil(ctx, &Request{Context: bytes.NewReader(contextOf(t, "FROM busybox AS one\nRUN sleep 100\nFROM busybox\nRUN yes\n")), Remove: true})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the build ended with %v", err)
	}
	if len(p.processes.made) > 0 {
		t.Errorf("containers are left: %v", p.processes.made)
	}
}

// The client's end is the end of all stages.
func TestStagesCancelled(t *testing.T) {
	p := newPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(300*time.Millisecond, cancel).Stop()
	began := time.Now()
	_, err := p.buildUntil(ctx, &Request{Context: bytes.NewReader(contextOf(t, "FROM busybox AS one\nRUN sleep 100\nFROM busybox\nRUN sleep 100; echo\n")), Remove: true})
	if !errors.Is(err, context.Canceled) || time.Since(began) > 20*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if len(p.processes.made) > 0 {
		t.Errorf("containers are left: %v", p.processes.made)
	}
}
