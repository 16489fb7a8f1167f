package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// Bounds of the documents in an archive; Docker's own are a few kilobytes. The
// second one is for all that is remembered of an archive: documents, and the names of
// links and layers, with as much as there is about each entry besides.
const (
	maxDocument  = 16 << 20
	maxDocuments = 128 << 20
	aboutLink    = 256
	aboutLayer   = 4 << 10
	// maxChain is the most layers of an image in the older form: each one is an
	// image, with all that is said of those below it. overlayfs stacks 500.
	maxChain = 500
)

// archive is what one pass over a tar found. Layers are unpacked as they fly
// by, because the document that orders them usually comes last.
type archive struct {
	in        *ingest
	documents map[string][]byte
	layers    map[string]*unpacked
	links     map[string]string // path → path
	bytes     int64             // that are remembered
	progress  ProgressFunc
}

// Load reads a docker save archive (with manifest.json, or the older form with
// repositories and VERSION/json/layer.tar), or an OCI image layout. r may be
// compressed. What was loaded becomes visible all at once.
func (s *Store) Load(ctx context.Context, r io.Reader, progress ProgressFunc) ([]Loaded, error) {
	in := s.newIngest()
	defer in.abort()
	plain, err := layer.Decompress(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer plain.Close()
	a := &archive{
		in: in, progress: progress,
		documents: map[string][]byte{},
		layers:    map[string]*unpacked{},
		links:     map[string]string{},
	}
	if err := a.read(ctx, plain); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	var loaded []Loaded
	switch {
	case a.document("manifest.json") != nil:
		loaded, err = a.loadManifest(ctx)
	case a.document("index.json") != nil:
		loaded, err = a.loadLayout(ctx)
	case a.document("repositories") != nil:
		loaded, err = a.loadLegacy(ctx)
	default:
		err = fault.Invalid("not an image archive: it has no manifest.json, index.json or repositories")
	}
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := in.commit(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return loaded, nil
}

func (a *archive) read(ctx context.Context, r io.Reader) error {
	br := bufio.NewReaderSize(r, 256<<10)
	tr := tar.NewReader(br)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			// The end of a compressed archive says whether it is whole.
			_, err := io.Copy(io.Discard, br)
			return err
		}
		if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fault.Invalid("not a whole tar archive: %w", err)
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		name := inArchive(hdr.Name)
		switch hdr.Typeflag {
		case tar.TypeReg:
			if err := a.file(ctx, name, hdr.Size, tr); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		case tar.TypeSymlink:
			err = a.link(name, path.Join(path.Dir(name), hdr.Linkname))
		case tar.TypeLink:
			err = a.link(name, hdr.Linkname)
		}
		if err != nil {
			return err
		}
	}
}

func (a *archive) link(name, to string) error {
	a.links[name] = inArchive(to)
	return a.remember(int64(len(name) + len(to) + aboutLink))
}

// remember counts what is kept in memory until the archive's end.
func (a *archive) remember(size int64) error {
	if a.bytes += size; a.bytes > maxDocuments {
		return fault.Invalid("more than %d bytes of documents, links and names of layers", maxDocuments)
	}
	return nil
}

// inArchive makes the name comparable: relative, clean, below the archive's root.
func inArchive(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// file keeps a document, unpacks a layer and skips the rest.
func (a *archive) file(ctx context.Context, name string, size int64, r io.Reader) error {
	body := bufio.NewReaderSize(r, 4<<10)
	head, err := body.Peek(512)
	if err != nil && err != io.EOF {
		return err
	}
	switch {
	case looksLikeLayer(name, head):
		return a.layer(ctx, name, size, body)
	case size <= maxDocument && isDocument(name, head):
		if err := a.remember(size + int64(len(name)+aboutLink)); err != nil {
			return err
		}
		b, err := io.ReadAll(body)
		a.documents[name] = b
		return err
	case isDocument(name, head):
		return fault.Invalid("document of %d bytes", size)
	}
	return nil
}

func isDocument(name string, head []byte) bool {
	switch path.Base(name) {
	case "json", "repositories", "VERSION", "oci-layout", "manifest.json", "index.json":
		return true
	}
	head = bytes.TrimSpace(head)
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}

// looksLikeLayer recognizes tars and what compressed tars start with.
func looksLikeLayer(name string, head []byte) bool {
	switch {
	case path.Base(name) == "layer.tar":
		return true
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return true
	case len(head) == 512 && bytes.Count(head, []byte{0}) == 512: // an empty tar
		return true
	}
	for _, magic := range []string{"\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd", "\xfd7zXZ\x00"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return strings.HasSuffix(name, ".tar") && !isDocument("", head)
}

func (a *archive) layer(ctx context.Context, name string, size int64, r io.Reader) error {
	if a.layers[name] != nil {
		return fault.Invalid("twice in the archive")
	}
	if err := a.remember(int64(len(name) + aboutLayer)); err != nil {
		return err
	}
	counted := &countingReader{r: r, id: progressID(name), total: size, status: "Loading layer", report: a.progress}
	plain, err := layer.Decompress(ctx, counted)
	if err != nil {
		return err
	}
	defer plain.Close()
	u, err := a.in.unpack(ctx, plain)
	if err != nil {
		return err
	}
	counted.done()
	a.layers[name] = u
	return nil
}

// progressID abbreviates a layer's name for the progress stream.
func progressID(name string) string {
	for part := range strings.SplitSeq(name, "/") {
		if hex := strings.TrimSuffix(strings.TrimSuffix(part, ".gz"), ".tar"); isHexID(hex) {
			return hex[:12]
		}
	}
	return name
}

// find follows links of the archive, which docker save uses for equal layers.
func (a *archive) find(name string) string {
	name = inArchive(name)
	for range 16 {
		to, ok := a.links[name]
		if !ok {
			// A folder on the way may be a link: blobs → ../blobs does not occur,
			// but <id> → ../<other id> does.
			dir, base := path.Split(name)
			if to, ok = a.links[strings.TrimSuffix(dir, "/")]; !ok {
				return name
			}
			to = path.Join(to, base)
		}
		name = to
	}
	return name
}

func (a *archive) document(name string) []byte { return a.documents[a.find(name)] }

// stackLayer puts the layer called name on the chain. It may be left out of the
// archive if the store has it.
func (a *archive) stackLayer(ctx context.Context, parent digest.Digest, name string, want digest.Digest) (digest.Digest, error) {
	if u := a.layers[a.find(name)]; u != nil {
		if want != "" && u.res.DiffID != want {
			return "", fault.Invalid("invalid diffID for layer %s: expected %q, got %q", name, want, u.res.DiffID)
		}
		return a.in.stack(ctx, parent, u)
	}
	if want != "" {
		chain := want
		if parent != "" {
			chain = digest.FromString(parent.String() + " " + want.String())
		}
		if a.in.has(chain) {
			return chain, nil
		}
	}
	return "", fault.Invalid("layer %s is not in the archive", name)
}

// countingReader reports how much of a layer was read.
type countingReader struct {
	r      io.Reader
	id     string
	total  int64
	n      int64
	told   int64
	status string
	report ProgressFunc
}

// reportEvery bounds the number of progress messages to some hundreds a gigabyte.
const reportEvery = 1 << 20

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.report != nil && c.n-c.told >= reportEvery {
		c.told = c.n
		c.report(Progress{ID: c.id, Status: c.status, Current: c.n, Total: c.total})
	}
	return n, err
}

func (c *countingReader) done() {
	if c.report != nil && c.told != c.total {
		c.report(Progress{ID: c.id, Status: c.status, Current: c.total, Total: c.total})
	}
}
