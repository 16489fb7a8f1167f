package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// hostile serves requests for repository x as the test says and gives the
// repository, opened with a credential that must not get away.
func hostile(t testing.TB, serve http.HandlerFunc) (*Repository, string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		serve(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	return openRepository(t, host, Options{Stall: 200 * time.Millisecond, CertsDir: t.TempDir()}), host
}

func openRepository(t testing.TB, host string, o Options) *Repository {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	named, err := reference.ParseNormalizedNamed(host + "/x")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := c.Open(context.Background(), named, Credential{Username: "me", Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(repo.Close)
	return repo
}

// fetch downloads a blob of 4 bytes whose content is "good".
func fetch(ctx context.Context, repo *Repository) ([]byte, error) {
	body, err := repo.Blob(ctx, ocispec.Descriptor{Digest: digest.FromString("good"), Size: 4})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// A registry that sends its clients elsewhere leads them in no circle, to no file,
// and gets no credentials of theirs sent to another host.
func TestRedirects(t *testing.T) {
	var secrets atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			secrets.Add(1)
		}
		fmt.Fprint(w, "good")
	}))
	defer other.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		to func(w http.ResponseWriter, r *http.Request) string
		ok bool
	}{
		"to another host":    {func(w http.ResponseWriter, r *http.Request) string { return other.URL + "/storage" }, true},
		"there and back":     {func(w http.ResponseWriter, r *http.Request) string { return r.URL.Path }, false},
		"ever on":            {func(w http.ResponseWriter, r *http.Request) string { return r.URL.Path + "1" }, false},
		"to a file":          {func(w http.ResponseWriter, r *http.Request) string { return "file://" + secret }, false},
		"to no scheme known": {func(w http.ResponseWriter, r *http.Request) string { return "gopher://" + r.Host }, false},
		"to a socket":        {func(w http.ResponseWriter, r *http.Request) string { return "unix:///run/docker.sock" }, false},
		"to nowhere":         {func(w http.ResponseWriter, r *http.Request) string { return "" }, false},
		"to nonsense":        {func(w http.ResponseWriter, r *http.Request) string { return "http://%zz" }, false},
		"to a closed port":   {func(w http.ResponseWriter, r *http.Request) string { return "http://127.0.0.1:1/" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			repo, _ := hostile(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				if to := c.to(w, r); to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(http.StatusTemporaryRedirect)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			got, err := fetch(ctx, repo)
			if ok := err == nil; ok != c.ok || ok && string(got) != "good" {
				t.Errorf("got %q %v", got, err)
			}
			if ctx.Err() != nil {
				t.Error("it did not end")
			}
			if n := asked.Load(); n > 200 {
				t.Errorf("%d requests", n)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
	if secrets.Load() > 0 {
		t.Error("another host was shown the credentials")
	}
}

// A registry that lies about what it gives, or never ends, gives an error in
// bounded time and memory.
func TestAnswersThatLieOrNeverEnd(t *testing.T) {
	forever := func(w http.ResponseWriter, r *http.Request, chunk []byte) {
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	blank := bytes.Repeat([]byte(" "), 1<<20)
	manifest := []byte(`{"schemaVersion":2}`)
	blob := func(ctx context.Context, repo *Repository) error { _, err := fetch(ctx, repo); return err }
	byTag := func(ctx context.Context, repo *Repository) error {
		_, _, err := repo.Manifest(ctx, "latest")
		return err
	}
	byDigest := func(ctx context.Context, repo *Repository) error {
		_, _, err := repo.Manifest(ctx, digest.FromString("another").String())
		return err
	}
	tags := func(ctx context.Context, repo *Repository) error { _, err := repo.Tags(ctx); return err }
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		ask   func(ctx context.Context, repo *Repository) error
	}{
		"blob without end":    {func(w http.ResponseWriter, r *http.Request) { forever(w, r, blank) }, blob},
		"blob that is longer": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "good and more") }, blob},
		"blob that is shorter": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "4")
			fmt.Fprint(w, "go")
		}, blob},
		"blob of another digest": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "evil") }, blob},
		"blob that stands still": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "go")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, blob},
		"blob with a silent server": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, blob},
		"blob of a gigabyte that was said to be four bytes": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(1<<30))
			forever(w, r, blank)
		}, blob},
		"manifest of a gigabyte": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", TypeDockerManifest)
			w.Header().Set("Content-Length", fmt.Sprint(1<<30))
			forever(w, r, blank)
		}, byTag},
		"manifest without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", TypeDockerManifest)
			forever(w, r, blank)
		}, byTag},
		"manifest that drips": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", TypeDockerManifest)
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}, byTag},
		"manifest of another digest": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", TypeDockerManifest)
			w.Header().Set("Docker-Content-Digest", digest.FromString("another").String())
			_, _ = w.Write(manifest)
		}, byDigest},
		"heads without end": {func(w http.ResponseWriter, r *http.Request) {
			for i := range 5000 {
				w.Header().Add("X-Long", strings.Repeat("x", 1000)+fmt.Sprint(i))
			}
			fmt.Fprint(w, "good")
		}, blob},
		"tags without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?last=a&n=%d>; rel="next"`, r.URL.Path, time.Now().UnixNano()))
			fmt.Fprint(w, `{"name":"x","tags":["a"]}`)
		}, tags},
		"error text without end": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			forever(w, r, blank)
		}, byTag},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "blob ") {
				t.Parallel() // some of them wait
			}
			repo, _ := hostile(t, c.serve)
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := c.ask(ctx, repo)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("taken")
			}
			if ctx.Err() != nil {
				t.Error("it did not end")
			}
			// The servers' own buffers are in this process, too.
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
				t.Errorf("it took %d MB", grown>>20)
			}
			t.Log(err)
		})
	}
}

// The proxies of the environment are asked, and NO_PROXY is heeded. The variables
// are read once per process (net/http), so the test is one of its own.
func TestProxyFromEnvironment(t *testing.T) {
	if os.Getenv("BERTH_TEST_PROXY") == "" {
		var hosts []string
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hosts = append(hosts, r.Host)
			if r.Method == http.MethodConnect { // TLS is tried first; this registry has none
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			if strings.HasSuffix(r.URL.Path, "/manifests/latest") {
				w.Header().Set("Content-Type", TypeDockerManifest)
				fmt.Fprint(w, `{"schemaVersion":2}`)
			}
		}))
		defer proxy.Close()
		runAlone(t, "BERTH_TEST_PROXY=1", "HTTP_PROXY="+proxy.URL, "HTTPS_PROXY="+proxy.URL, "NO_PROXY=unproxied.test")
		if len(hosts) == 0 {
			t.Error("the proxy was not asked")
		}
		for _, h := range hosts {
			if !strings.HasPrefix(h, "registry.test") {
				t.Errorf("the proxy was asked for %s", h)
			}
		}
		return
	}
	repo := openRepository(t, "registry.test:5000", Options{Insecure: []string{"registry.test:5000"}, CertsDir: t.TempDir()})
	if _, _, err := repo.Manifest(t.Context(), "latest"); err != nil {
		t.Error(err)
	}
	c, err := New(Options{Insecure: []string{"unproxied.test:5000"}, CertsDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	named, err := reference.ParseNormalizedNamed("unproxied.test:5000/x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), named, Credential{}); err == nil {
		t.Error("a host that does not exist answers")
	}
}

// FuzzLink: whatever a registry says comes next, listing tags ends, and only
// the registry itself is asked.
func FuzzLink(f *testing.F) {
	f.Add(`</v2/x/tags/list?last=a>; rel="next"`)
	f.Add(`<http://127.0.0.1:1/v2/x/tags/list>; rel=next`)
	f.Add(`<>`)
	f.Add(`<file:///etc/passwd>; rel="next"`)
	var link atomic.Pointer[string]
	var asked atomic.Int32
	repo, _ := hostile(f, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.Header()["Link"] = []string{*link.Load()}
		}
		fmt.Fprint(w, `{"name":"x","tags":["a"]}`)
	})
	f.Fuzz(func(t *testing.T, header string) {
		defer effort.Bound()()
		clean := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, header)
		link.Store(&clean)
		asked.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		tags, err := repo.Tags(ctx)
		if ctx.Err() != nil {
			t.Errorf("%q: it did not end", clean)
		}
		if n := asked.Load(); n > 20 || err == nil && (len(tags) == 0 || len(tags) > 2) {
			t.Errorf("%q: %d requests, %v %v", clean, n, tags, err)
		}
	})
}

// sum is the digest of what a client is told a manifest has.
func sum(b []byte) string {
	s := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(s[:])
}

// A mirror is asked first, and whoever it is gets no credentials of the registry's.
func TestMirrorGetsNoCredentials(t *testing.T) {
	manifest := []byte(`{"schemaVersion":2}`)
	var shown atomic.Int32
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			shown.Add(1)
		}
		if r.URL.Path == "/v2/library/x/manifests/latest" {
			w.Header().Set("Content-Type", TypeDockerManifest)
			w.Header().Set("Docker-Content-Digest", sum(manifest))
			_, _ = w.Write(manifest)
		}
	}))
	defer mirror.Close()
	c, err := New(Options{Mirrors: []string{mirror.URL}, CertsDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	named, err := reference.ParseNormalizedNamed("x")
	if err != nil {
		t.Fatal(err)
	}
	hosts := c.Hosts(named)
	if len(hosts) != 2 || "http://"+hosts[0] != mirror.URL {
		t.Fatalf("hosts %v", hosts)
	}
	repo, err := c.OpenAt(t.Context(), hosts[0], named, Credential{})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	desc, _, err := repo.Manifest(t.Context(), "latest")
	if err != nil || desc.Digest.String() != sum(manifest) || repo.Name().Name() != "docker.io/library/x" {
		t.Errorf("%v %v %v", desc, repo.Name(), err)
	}
	if shown.Load() > 0 {
		t.Error("credentials without a challenge")
	}
}

// runAlone runs the calling test in a process of its own with more variables.
func runAlone(t *testing.T, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
