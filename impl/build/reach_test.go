package build

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// TestDeniedAddresses: with denied networks neither ADD nor a remote context
// reaches them, by address, by name, by a redirect or through git.
func TestDeniedAddresses(t *testing.T) {
	p := newPlace(t)
	p.Denied = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("::1/128")}
	root := t.TempDir()
	asked := make(chan string, 100)
	inner := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Path }))
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	inner.Listener.Close()
	inner.Listener = l
	inner.Start()
	defer inner.Close()
	files := http.FileServer(http.Dir(root))
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/away") {
			http.Redirect(w, r, inner.URL+"/secret", http.StatusFound)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer outer.Close()
	write(t, filepath.Join(root, "f"), "public")
	run(t, root, "sh", "-ec", `export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=e
		git init -q -b main work; cd work; printf 'FROM busybox\nCOPY f /f' >Dockerfile; printf git >f; git add -A; git commit -q -m one
		git clone -q --bare . ../repo.git; git -C ../repo.git update-server-info`)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"the engine's own socket": inner.URL + "/v1.23/containers/json", "metadata": "http://169.254.169.254/latest/meta-data/",
		"mapped to IPv6": "http://[::ffff:127.0.0.2]:" + port + "/x", "IPv6": "http://[::1]:" + port + "/x", "a redirect": outer.URL + "/away",
	} {
		t.Run("ADD "+name, func(t *testing.T) {
			_, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\nADD "+address+" /f")), Remove: true})
			if !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "does not let builds reach") {
				t.Errorf("got %v", err)
			}
		})
		t.Run("remote "+name, func(t *testing.T) {
			if _, err := p.build(&Request{Remote: address, Remove: true}); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "does not let builds reach") {
				t.Errorf("got %v", err)
			}
		})
	}
	for name, address := range map[string]string{
		"git": inner.URL + "/repo.git", "git redirected": outer.URL + "/away/repo.git", "git's own protocol": "git://127.0.0.1/repo.git", "ssh": "ssh://127.0.0.1/repo.git",
		"TLS": strings.Replace(inner.URL, "http:", "https:", 1) + "/repo.git",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := p.build(&Request{Remote: address, Remove: true}); !errdefs.IsInvalidArgument(err) {
				t.Errorf("got %v", err)
			}
		})
	}
	select {
	case path := <-asked:
		t.Errorf("the denied address was asked for %s", path)
	default:
	}
	for _, req := range []*Request{
		{Context: bytes.NewReader(contextOf(t, "FROM busybox\nADD "+outer.URL+"/f /f")), Remove: true}, {Remote: outer.URL + "/repo.git", Remove: true},
	} {
		if _, err := p.build(req); err != nil {
			t.Errorf("an address that is not denied: %v", err)
		}
	}
}

// TestSocketAddresses: no address of a build leads to a unix socket or a file.
func TestSocketAddresses(t *testing.T) {
	p := newPlace(t)
	for _, address := range []string{"unix:///run/berth.sock", "http+unix://%2frun%2fberth.sock/info", "file:///etc/passwd", "fd://3"} {
		if _, err := p.build(&Request{Remote: address}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("remote %s: %v", address, err)
		}
		if _, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\nADD "+address+" /f")), Remove: true}); !errdefs.IsInvalidArgument(err) {
			t.Errorf("ADD %s: %v", address, err)
		}
	}
}

// TestCancelledFetches: a server that takes a connection and says nothing does
// not keep a build whose client is gone.
func TestCancelledFetches(t *testing.T) {
	p := newPlace(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reached := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached <- c
		}
	}()
	silent := "http://" + l.Addr().String()
	for name, req := range map[string]*Request{
		"git": {Remote: silent + "/x.git"}, "remote": {Remote: silent + "/x.tar"},
		"ADD": {Context: bytes.NewReader(contextOf(t, "FROM busybox\nADD "+silent+"/x /x")), Remove: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := p.buildUntil(ctx, req)
				ended <- err
			}()
			defer (<-reached).Close()
			cancel()
			began := time.Now()
			if err := <-ended; err == nil || time.Since(began) > time.Second {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	}
}

// What a git server has git print is not kept but for its end.
func TestLastWords(t *testing.T) {
	var w lastWords
	for i := range 100_000 {
		fmt.Fprintf(&w, "line %d\n", i)
	}
	if len(w) != 1<<10 || cap(w) > 1<<16 || !bytes.HasSuffix(w, []byte("line 99998\nline 99999\n")) {
		t.Errorf("%d bytes of %d: %q", len(w), cap(w), w)
	}
	if n, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); n != 1<<20 || err != nil || string(w) != strings.Repeat("x", 1<<10) {
		t.Errorf("%d, %v: %q", n, err, w)
	}
}
