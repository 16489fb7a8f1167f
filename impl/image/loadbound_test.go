package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// What an archive has the engine remember until its end is bounded, whatever the
// entries are.
func TestLoadBounds(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("%064x", i+1) }
	for name, c := range map[string]struct {
		write func(w *tar.Writer) error
		text  string
	}{
		"links": {func(w *tar.Writer) error {
			for i := range 10_000 {
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: fmt.Sprint(i), Linkname: strings.Repeat("x", 60<<10)}); err != nil {
					return err
				}
			}
			return nil
		}, "of documents, links and names of layers"},
		"empty documents": {func(w *tar.Writer) error {
			for i := range 10_000 {
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(strings.Repeat("d/", 30<<10), i, "/json")}); err != nil {
					return err
				}
			}
			return nil
		}, "of documents, links and names of layers"},
		"a chain of layers without end": {func(w *tar.Writer) error {
			put := func(name string, body any) error {
				b, err := json.Marshal(body)
				if err != nil {
					return err
				}
				if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(b))}); err != nil {
					return err
				}
				_, err = w.Write(b)
				return err
			}
			for i := range 2000 {
				layer := map[string]string{"id": id(i)}
				if i > 0 {
					layer["parent"] = id(i - 1)
				}
				if err := put(id(i)+"/json", layer); err != nil {
					return err
				}
			}
			return put("repositories", map[string]map[string]string{"x": {"1": id(1999)}})
		}, "more than 500 layers"},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := io.Pipe()
			go func() {
				tw := tar.NewWriter(w)
				err := c.write(tw)
				if err == nil {
					err = tw.Close()
				}
				w.CloseWithError(err)
			}()
			_, err := newStore(t).Load(context.Background(), r, nil)
			r.Close()
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %.300v", err)
			}
		})
	}
}
