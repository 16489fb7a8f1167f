package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/impl/image/testregistry"
)

func newRegistry(t testing.TB) *testregistry.Registry {
	t.Helper()
	r := testregistry.New()
	t.Cleanup(r.Close)
	return r
}

// repository opens a repository of the registry.
func repository(t testing.TB, r *testregistry.Registry, name string, cred registry.Credential) *registry.Repository {
	t.Helper()
	c, err := registry.New(registry.Options{CertsDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	named, err := reference.ParseNormalizedNamed(r.Host + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := c.Open(context.Background(), named, cred)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repo.Close)
	return repo
}

func tag(t testing.TB, s *Store, ref, name string) {
	t.Helper()
	if _, err := s.Tag(context.Background(), ref, name, ""); err != nil {
		t.Fatal(err)
	}
}

func mustPush(t testing.TB, s *Store, repo *registry.Repository, tag string) Pushed {
	t.Helper()
	done, err := s.Push(context.Background(), repo, tag, nil)
	if err != nil || len(done) != 1 {
		t.Fatal(done, err)
	}
	return done[0]
}

func TestPushAndPull(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	one := newStore(t)
	load(t, one, archiveOf(t, three("three:latest")))
	loadBusybox(t, one, "busybox:latest")
	tag(t, one, "three", r.Host+"/a/three:v1")
	tag(t, one, "busybox", r.Host+"/a/three:bb")
	repo := repository(t, r, "a/three", registry.Credential{})
	var said []string
	note := func(p Progress) { said = append(said, strings.TrimSpace(p.ID+" "+p.Status)) }
	pushed, err := one.Push(ctx, repo, "v1", note)
	if err != nil || len(pushed) != 1 || pushed[0].Tag != "v1" {
		t.Fatal(pushed, err)
	}
	if said[0] != "The push refers to a repository ["+r.Host+"/a/three]" || said[len(said)-1] != fmt.Sprintf("v1: digest: %s size: %d", pushed[0].Digest, pushed[0].Size) {
		t.Errorf("messages %q", said)
	}
	mustPush(t, one, repo, "bb")
	img, err := one.Get(r.Host + "/a/three:v1")
	if err != nil || !slices.Contains(img.RepoDigests, r.Host+"/a/three@"+pushed[0].Digest.String()) {
		t.Errorf("after push: %v %v", img.RepoDigests, err)
	}

	two := newStore(t)
	said = nil
	pulled, err := two.Pull(ctx, repo, "v1", note)
	if err != nil || len(pulled) != 1 {
		t.Fatal(pulled, err)
	}
	if p := pulled[0]; p.ID != img.ID || p.Digest != pushed[0].Digest || !p.New || p.Ref != r.Host+"/a/three:v1" {
		t.Errorf("pulled %+v", p)
	}
	for _, want := range []string{"v1 Pulling from a/three", "Digest: " + pushed[0].Digest.String(), "Status: Downloaded newer image for " + r.Host + "/a/three:v1"} {
		if !slices.Contains(said, want) {
			t.Errorf("no message %q in %q", want, said)
		}
	}
	got, err := two.Get(r.Host + "/a/three:v1")
	if err != nil || !bytes.Equal(got.Raw, img.Raw) || !slices.Equal(got.RepoDigests, []string{r.Host + "/a/three@" + pushed[0].Digest.String()}) {
		t.Errorf("pulled image %+v %v", got, err)
	}
	if a, b := save(t, one, r.Host+"/a/three:v1"), save(t, two, r.Host+"/a/three:v1"); !bytes.Equal(a, b) {
		t.Error("the pulled image is saved differently")
	}
	// Again: nothing to do, nothing downloaded.
	r.Requests()
	said = nil
	if pulled, err = two.Pull(ctx, repo, "v1", note); err != nil || pulled[0].New {
		t.Errorf("pulled again: %+v %v", pulled, err)
	}
	if !slices.Contains(said, "Status: Image is up to date for "+r.Host+"/a/three:v1") {
		t.Errorf("messages %q", said)
	}
	for _, req := range r.Requests() {
		if strings.Contains(req, "/blobs/") && !strings.Contains(req, img.ID.String()) {
			t.Errorf("second pull: %s", req)
		}
	}
	// By digest, and all tags.
	if pulled, err = two.Pull(ctx, repo, pushed[0].Digest.String(), nil); err != nil || pulled[0].Ref != r.Host+"/a/three@"+pushed[0].Digest.String() {
		t.Errorf("by digest: %+v %v", pulled, err)
	}
	if pulled, err = two.Pull(ctx, repo, "", nil); err != nil || len(pulled) != 2 {
		t.Errorf("all tags: %+v %v", pulled, err)
	}
	// A pulled image pushed elsewhere keeps its digest and uploads nothing that
	// the registry has.
	tag(t, two, r.Host+"/a/three:v1", r.Host+"/b/other:x")
	r.Requests()
	other := mustPush(t, two, repository(t, r, "b/other", registry.Credential{}), "x")
	if other.Digest != pushed[0].Digest {
		t.Errorf("digest %s became %s", pushed[0].Digest, other.Digest)
	}
	mounts := 0
	for _, req := range r.Requests() {
		switch {
		case strings.HasPrefix(req, "POST ") && strings.HasSuffix(req, "/uploads/"):
			mounts++
		case strings.HasPrefix(req, "PUT ") && strings.Contains(req, "/uploads/") && !strings.HasSuffix(req, img.ID.String()):
			t.Errorf("uploaded: %s", req) // the configuration is no layer, and goes up
		}
	}
	if mounts < len(img.RootFS.DiffIDs) {
		t.Errorf("%d layers were asked for in the other repository, of %d", mounts, len(img.RootFS.DiffIDs))
	}
	// To a registry that has nothing: from the cache, still the same digest.
	r2 := newRegistry(t)
	tag(t, two, r.Host+"/a/three:v1", r2.Host+"/c:y")
	if p := mustPush(t, two, repository(t, r2, "c", registry.Credential{}), "y"); p.Digest != pushed[0].Digest {
		t.Errorf("digest %s became %s elsewhere", pushed[0].Digest, p.Digest)
	}
	// Removal: the digest goes with the repository's last tag.
	records, err := two.Remove(ctx, r2.Host+"/c:y", RemoveOptions{}, nil)
	if err != nil || len(records) != 2 || !strings.Contains(records[1].Untagged, "@sha256:") {
		t.Errorf("removed %+v %v", records, err)
	}
}

// bulky is an image of two layers that do not compress.
func bulky() testimage.Image {
	random := rand.New(rand.NewSource(1))
	img := testimage.Image{Tags: []string{"x:latest"}}
	for range 2 {
		body := make([]byte, 1<<20)
		random.Read(body)
		img.Layers = append(img.Layers, []testimage.File{{Name: "bulk", Body: body}})
	}
	return img
}

func TestPullCopesWithBadLines(t *testing.T) {
	img := bulky()
	const size = 2 << 20 // bytes of both layers, which do not compress
	for name, c := range map[string]struct {
		set func(*testregistry.Registry)
		// again is how much may be sent twice.
		again int64
	}{
		// Each download goes on where it stopped, but for what was in flight.
		"cuts":           {func(r *testregistry.Registry) { r.CutAfter, r.Cuts = 300_000, 3 }, 100_000},
		"cuts, no range": {func(r *testregistry.Registry) { r.CutAfter, r.Cuts, r.NoRange = 100_000, 2, true }, 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			one, two := newStore(t), newStore(t)
			load(t, one, archiveOf(t, img))
			tag(t, one, "x", r.Host+"/x")
			repo := repository(t, r, "x", registry.Credential{})
			mustPush(t, one, repo, "latest")
			c.set(r)
			before := r.Sent()
			if _, err := two.Pull(context.Background(), repo, "latest", nil); err != nil {
				t.Fatal(err)
			}
			if r.Cuts > 0 {
				t.Errorf("%d cuts did not happen", r.Cuts)
			}
			if sent := r.Sent() - before; sent < size || sent > size+c.again {
				t.Errorf("%d bytes were sent for layers of %d", sent, size)
			}
			a, _ := one.Get("x")
			if b, err := two.Get(r.Host + "/x"); err != nil || a.ID != b.ID {
				t.Errorf("pulled %v", err)
			}
			save(t, two, r.Host+"/x")
		})
	}
}

func TestPullRefusesLies(t *testing.T) {
	ctx := context.Background()
	gz := func(b []byte) []byte {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(b)
		w.Close()
		return z.Bytes()
	}
	layerTar := tarOf(t, testimage.File{Name: "x", Body: []byte("x")})
	config := func(diff string) []byte {
		return fmt.Appendf(nil, `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, diff)
	}
	type m = map[string]any
	desc := func(d string, size int) m { return m{"digest": d, "size": size, "mediaType": "x"} }
	put := func(r *testregistry.Registry, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		r.PutManifest("x", "latest", registry.TypeDockerManifest, b)
	}
	for name, set := range map[string]func(r *testregistry.Registry){
		"wrong bytes": func(r *testregistry.Registry) {
			c, l := config(testregistry.Digest(layerTar)), gz(layerTar)
			put(r, m{"config": desc(r.PutBlob("x", c), len(c)), "layers": []m{desc(r.PutBlob("x", l), len(l))}})
			r.Lie = true
		},
		"wrong diff id": func(r *testregistry.Registry) {
			c, l := config("sha256:"+strings.Repeat("0", 64)), gz(layerTar)
			put(r, m{"config": desc(r.PutBlob("x", c), len(c)), "layers": []m{desc(r.PutBlob("x", l), len(l))}})
		},
		"size too small": func(r *testregistry.Registry) {
			c, l := config(testregistry.Digest(layerTar)), gz(layerTar)
			put(r, m{"config": desc(r.PutBlob("x", c), len(c)), "layers": []m{desc(r.PutBlob("x", l), len(l)-1)}})
		},
		"negative size": func(r *testregistry.Registry) {
			c, l := config(testregistry.Digest(layerTar)), gz(layerTar)
			put(r, m{"config": desc(r.PutBlob("x", c), len(c)), "layers": []m{desc(r.PutBlob("x", l), -1)}})
		},
		"huge configuration": func(r *testregistry.Registry) {
			put(r, m{"config": desc("sha256:"+strings.Repeat("0", 64), 1<<30), "layers": []m{}})
		},
		"huge manifest": func(r *testregistry.Registry) {
			r.PutManifest("x", "latest", registry.TypeDockerManifest, bytes.Repeat([]byte(" "), 5<<20))
		},
		"digest that climbs": func(r *testregistry.Registry) {
			c := config(testregistry.Digest(layerTar))
			put(r, m{"config": desc(r.PutBlob("x", c), len(c)), "layers": []m{desc("sha256:../../../etc/passwd", 1)}})
		},
		"layer without a digest": func(r *testregistry.Registry) {
			c := config(testregistry.Digest(layerTar))
			put(r, m{"config": desc(r.PutBlob("x", c), len(c)), "layers": []m{{"size": 1}}})
		},
		"schema 1 layer without a digest": func(r *testregistry.Registry) {
			r.PutManifest("x", "latest", registry.TypeSchema1, []byte(`{"fsLayers":[{"blobSum":""}],"history":[{"v1Compatibility":"{\"created\":\"2016-04-01T12:00:00Z\"}"}]}`))
		},
		"no layers": func(r *testregistry.Registry) {
			c := config(testregistry.Digest(layerTar))
			put(r, m{"config": desc(r.PutBlob("x", c), len(c))})
		},
		"no configuration": func(r *testregistry.Registry) { put(r, m{}) },
		"nonsense":         func(r *testregistry.Registry) { put(r, "nonsense") },
		"list without end": func(r *testregistry.Registry) {
			// A list cannot hold itself, but it can be nested.
			d := r.PutManifest("x", "", registry.TypeDockerList, []byte(`{"manifests":[{"digest":"sha256:`+strings.Repeat("0", 64)+`"}]}`))
			for range 10 {
				d = r.PutManifest("x", "latest", registry.TypeDockerList, fmt.Appendf(nil, `{"manifests":[{"digest":%q}]}`, d))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			s := newStore(t)
			set(r)
			_, err := s.Pull(ctx, repository(t, r, "x", registry.Credential{}), "latest", nil)
			if err == nil {
				t.Fatal("accepted")
			}
			t.Log(err)
			if s.Count() != 0 || len(s.layers) != 0 || len(s.blobs) != 0 {
				t.Errorf("%d images, %d layers, %d blobs left", s.Count(), len(s.layers), len(s.blobs))
			}
			s.trash.empty()
			for _, dir := range []string{layersDir, blobsDir} {
				if entries, err := os.ReadDir(filepath.Join(s.root, dir)); err != nil || len(entries) != 0 {
					t.Errorf("%s: %v %v", dir, entries, err)
				}
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	r.User, r.Password = "me", "s3cret"
	s := newStore(t)
	load(t, s, archiveOf(t, three("three:latest")))
	tag(t, s, "three", r.Host+"/x")
	mustPush(t, s, repository(t, r, "x", registry.Credential{Username: "me", Password: "s3cret"}), "latest")
	for _, cred := range []registry.Credential{{}, {Username: "me", Password: "wr0ng"}} {
		_, err := s.Pull(ctx, repository(t, r, "x", cred), "latest", nil)
		if !errdefs.IsUnauthorized(err) || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%v: %v", cred, err)
		}
		if _, err = s.Push(ctx, repository(t, r, "x", cred), "latest", nil); !errdefs.IsUnauthorized(err) {
			t.Errorf("%v: %v", cred, err)
		}
	}
	if _, err := s.Pull(ctx, repository(t, r, "x", registry.Credential{Username: "me", Password: "s3cret"}), "nosuch", nil); !errdefs.IsNotFound(err) || err.Error() != "Error: image x:nosuch not found" {
		t.Errorf("no such tag: %v", err)
	}
	if _, err := s.Push(ctx, repository(t, r, "nosuch", registry.Credential{}), "", nil); !errdefs.IsNotFound(err) || err.Error() != "Repository does not exist: "+r.Host+"/nosuch" {
		t.Errorf("no such repository: %v", err)
	}
}

func TestPullPlatformAndSchema1(t *testing.T) {
	ctx := context.Background()
	r := newRegistry(t)
	one := newStore(t)
	load(t, one, archiveOf(t, three("three:latest")))
	tag(t, one, "three", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	pushed := mustPush(t, one, repo, "latest")
	list, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []ocispec.Descriptor{
		{Digest: "sha256:" + "00", Size: 1, Platform: &ocispec.Platform{OS: "plan9", Architecture: "amd64"}},
		{Digest: pushed.Digest, Size: pushed.Size, Platform: &ocispec.Platform{OS: "linux", Architecture: "amd64"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	listDigest := r.PutManifest("x", "list", registry.TypeDockerList, list)
	two := newStore(t)
	pulled, err := two.Pull(ctx, repo, "list", nil)
	img, _ := one.Get("three")
	if err != nil || pulled[0].ID != img.ID || pulled[0].Digest.String() != listDigest {
		t.Errorf("list: %+v %v", pulled, err)
	}

	// The same layers in a manifest of schema 1, with a step that has none.
	var m imageManifest
	if err := json.Unmarshal(r.Manifest("x", "latest"), &m); err != nil {
		t.Fatal(err)
	}
	type entry = map[string]string
	var layers, history []entry
	for i := len(m.Layers) - 1; i >= 0; i-- {
		layers = append(layers, entry{"blobSum": m.Layers[i].Digest.String()})
		history = append(history, entry{"v1Compatibility": fmt.Sprintf(`{"id":"%d","created":"2016-04-01T12:00:00Z","docker_version":"1.9.1","os":"linux","architecture":"amd64","container_config":{"Cmd":["step %d"]},"config":{"Cmd":["sh"]}}`, i, i)})
	}
	layers = slices.Insert(layers, 1, entry{"blobSum": testregistry.Digest(nil)})
	history = slices.Insert(history, 1, entry{"v1Compatibility": `{"created":"2016-04-01T12:00:00Z","throwaway":true,"container_config":{"Cmd":["ENV a=b"]}}`})
	doc, err := json.Marshal(map[string]any{"schemaVersion": 1, "name": "x", "tag": "old", "fsLayers": layers, "history": history})
	if err != nil {
		t.Fatal(err)
	}
	r.PutManifest("x", "old", registry.TypeSchema1, doc)
	pulled, err = two.Pull(ctx, repo, "old", nil)
	if err != nil {
		t.Fatal(err)
	}
	old, err := two.Get(pulled[0].ID.String())
	if err != nil || !slices.Equal(old.RootFS.DiffIDs, img.RootFS.DiffIDs) || len(old.History) != 4 || !old.History[2].EmptyLayer || old.History[2].CreatedBy != "ENV a=b" || !slices.Equal(old.Config.Cmd, []string{"sh"}) {
		t.Errorf("schema 1: %+v %v", old, err)
	}
}

func TestPullCancelled(t *testing.T) {
	r := newRegistry(t)
	one, two := newStore(t), newStore(t)
	load(t, one, archiveOf(t, bulky()))
	tag(t, one, "x", r.Host+"/x")
	repo := repository(t, r, "x", registry.Credential{})
	mustPush(t, one, repo, "latest")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := two.Pull(ctx, repo, "latest", func(p Progress) {
		if p.Status == "Downloading" {
			cancel()
		}
	})
	cancel()
	if !errors.Is(err, context.Canceled) || two.Count() != 0 {
		t.Errorf("cancelled pull: %v", err)
	}
}
