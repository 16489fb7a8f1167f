package runtime_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/impl/runtime"
)

// BenchmarkOutput is how fast a container can write lines of 80 bytes: into
// the log, to an attached client, and both.
func BenchmarkOutput(b *testing.B) {
	const size = 64 << 20
	for _, c := range []struct {
		name        string
		log, attach bool
	}{{"log", true, false}, {"attach", false, true}, {"both", true, true}, {"none", false, false}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			line := strings.Repeat("x", 79) + "\n"
			must(b, os.WriteFile(filepath.Join(w.lower, "work/data"), []byte(strings.Repeat(line, size/len(line))), 0o644))
			b.SetBytes(size)
			for b.Loop() {
				spec := w.spec("cat", "/work/data")
				spec.Log.MaxSize, spec.Log.MaxFile = 10<<20, 2
				if !c.log {
					spec.Log.Path = ""
				}
				if c.attach {
					a, err := w.rt.NewAttachment(runtime.AttachOptions{Stdout: true})
					must(b, err)
					spec.Attachments = []*runtime.Attachment{a}
					go func() {
						defer a.Close()
						_, _ = io.Copy(io.Discard, a)
					}()
				}
				task, err := w.rt.Start(context.Background(), spec)
				must(b, err)
				_, err = task.Wait(context.Background())
				must(b, err)
				must(b, task.Delete(context.Background()))
			}
		})
	}
}
