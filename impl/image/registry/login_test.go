package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

func newClient(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{CertsDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tokenRegistry is a registry with a token service beside it. The service takes
// jane's password and the identity token "for-later".
type tokenRegistry struct {
	*httptest.Server
	realm  string // instead of the service's own address
	moved  string // where the service sends its clients
	grants string // instead of a right answer
	seen   []*http.Request
}

func newTokenRegistry(t *testing.T) *tokenRegistry {
	r := &tokenRegistry{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *tokenRegistry) serve(w http.ResponseWriter, req *http.Request) {
	_ = req.ParseForm()
	r.seen = append(r.seen, req)
	switch req.URL.Path {
	case "/token":
		user, password, _ := req.BasicAuth()
		refresh := req.PostFormValue("refresh_token")
		switch {
		case r.moved != "":
			http.Redirect(w, req, r.moved, http.StatusTemporaryRedirect)
		case r.grants != "":
			fmt.Fprint(w, r.grants)
		case refresh == "for-later" && req.PostFormValue("grant_type") == "refresh_token" || user == "jane" && password == "secret":
			answer := map[string]string{"access_token": "good"}
			if req.FormValue("offline_token") == "true" {
				answer["refresh_token"] = "for-later"
			}
			_ = json.NewEncoder(w).Encode(answer)
		default:
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or\n password"}]}`)
		}
	default:
		if req.Header.Get("Authorization") == "Bearer good" {
			fmt.Fprint(w, `{"name":"x","tags":["latest"]}`)
			return
		}
		realm := r.URL + "/token"
		if r.realm != "" {
			realm = r.realm
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="test"`, realm))
		w.WriteHeader(http.StatusUnauthorized)
	}
}

func TestLoginByToken(t *testing.T) {
	r := newTokenRegistry(t)
	c := newClient(t)
	for name, cred := range map[string]Credential{
		"password":       {Username: "jane", Password: "secret"},
		"identity token": {IdentityToken: "for-later"},
		"registry token": {RegistryToken: "good"},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := c.Login(t.Context(), r.URL, cred)
			if err != nil {
				t.Fatal(err)
			}
			if want := cred.Password != ""; (identity == "for-later") != want {
				t.Errorf("identity token %q", identity)
			}
			named, err := reference.ParseNormalizedNamed(strings.TrimPrefix(r.URL, "http://") + "/x")
			if err != nil {
				t.Fatal(err)
			}
			repo, err := c.Open(t.Context(), named, cred)
			if err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			if tags, err := repo.Tags(t.Context()); err != nil || len(tags) != 1 {
				t.Errorf("tags with these credentials: %v %v", tags, err)
			}
		})
	}
	for name, cred := range map[string]Credential{
		"wrong password":       {Username: "jane", Password: "s3cr3t-typo"},
		"wrong identity token": {IdentityToken: "s3cr3t-typo"},
		"wrong registry token": {RegistryToken: "s3cr3t-typo"},
		"nobody":               {},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Login(t.Context(), r.URL, cred)
			if !errdefs.IsUnauthorized(err) {
				t.Fatalf("error %v", err)
			}
			if text := err.Error(); strings.Contains(text, "s3cr3t") || strings.Contains(text, "\n") {
				t.Errorf("text %q", text)
			}
		})
	}
}

func TestLoginAtHostileTokenServices(t *testing.T) {
	stolen := 0
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen++ }))
	defer thief.Close()
	for name, set := range map[string]func(r *tokenRegistry){
		"moves to another host": func(r *tokenRegistry) { r.moved = thief.URL + "/token" },
		"moves to itself":       func(r *tokenRegistry) { r.moved = r.URL + "/token" },
		"no address":            func(r *tokenRegistry) { r.realm = "token" },
		"a file":                func(r *tokenRegistry) { r.realm = "file:///etc/passwd" },
		"no token":              func(r *tokenRegistry) { r.grants = `{"token":""}` },
		"no JSON":               func(r *tokenRegistry) { r.grants = `"s3cr3t` },
		"endless":               func(r *tokenRegistry) { r.grants = `{"token":"` + strings.Repeat("x", 2<<20) + `"}` },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTokenRegistry(t)
			set(r)
			for _, cred := range []Credential{{Username: "jane", Password: "s3cr3t"}, {IdentityToken: "s3cr3t"}} {
				_, err := newClient(t).Login(t.Context(), r.URL, cred)
				if !errdefs.IsUnavailable(err) {
					t.Fatalf("error %v", err)
				}
				if strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "jane") {
					t.Errorf("text %q", err)
				}
			}
		})
	}
	if stolen > 0 {
		t.Error("another host was asked")
	}
}

func TestLoginBasic(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		if user, password, _ := req.BasicAuth(); user != "jane" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	c := newClient(t)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, address := range []string{host, server.URL, server.URL + "/v1/", "https://" + host} {
		if _, err := c.Login(t.Context(), address, Credential{Username: "jane", Password: "secret"}); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	_, err := c.Login(t.Context(), host, Credential{Username: "jane", Password: "typo"})
	if want := "login attempt to " + server.URL + "/v2/ failed with status: 401 Unauthorized"; !errdefs.IsUnauthorized(err) || err.Error() != want {
		t.Errorf("wrong password: %v", err)
	}
	status = http.StatusNotFound
	if _, err := c.Login(t.Context(), host, Credential{}); !errdefs.IsUnavailable(err) {
		t.Errorf("no registry: %v", err)
	}
	for _, address := range []string{"http://", "::", "https://jane:secret@host/", "ht tp://x"} {
		if _, err := c.Login(t.Context(), address, Credential{}); !errdefs.IsInvalidArgument(err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	server.Close()
	if _, err := c.Login(context.Background(), host, Credential{}); !errdefs.IsUnavailable(err) {
		t.Errorf("nobody there: %v", err)
	}
}

// TestCredentialsStayAtTheirHost has a registry that sends readers of a blob to
// another port of the same address.
func TestCredentialsStayAtTheirHost(t *testing.T) {
	shown := ""
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		shown += req.Header.Get("Authorization")
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, _, ok := req.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if strings.Contains(req.URL.Path, "/manifests/loop") {
			http.Redirect(w, req, req.URL.Path, http.StatusFound)
			return
		}
		http.Redirect(w, req, other.URL+req.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	named, err := reference.ParseNormalizedNamed(strings.TrimPrefix(server.URL, "http://") + "/x")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := newClient(t).Open(t.Context(), named, Credential{Username: "jane", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	if _, _, err := repo.Manifest(t.Context(), "latest"); !errdefs.IsUnauthorized(err) {
		t.Errorf("error %v", err)
	}
	if shown != "" {
		t.Errorf("the other host was shown %q", shown)
	}
	if _, _, err := repo.Manifest(t.Context(), "loop"); !errdefs.IsUnavailable(err) {
		t.Errorf("redirects without end: %v", err)
	}
}

// TestSlowPeers has a peer that gives a byte now and then.
func TestSlowPeers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/v2/" && req.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/slow"`, req.Host))
			w.WriteHeader(http.StatusUnauthorized)
			return
		case req.URL.Path == "/v1/_ping":
			return
		}
		w.Header().Set("Content-Type", TypeDockerManifest)
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		// Longer than anybody waits, but the test's server must end some day.
		for range 400 {
			fmt.Fprint(w, " ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	}))
	defer server.Close()
	c, err := New(Options{CertsDir: t.TempDir(), Stall: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(server.URL, "http://")
	named, err := reference.ParseNormalizedNamed(host + "/x")
	if err != nil {
		t.Fatal(err)
	}
	repo, err := c.Open(t.Context(), named, Credential{})
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	for name, do := range map[string]func() error{
		"login":    func() error { _, err := c.Login(t.Context(), host, Credential{Username: "a"}); return err },
		"search":   func() error { _, err := c.Search(t.Context(), host+"/x", Credential{}); return err },
		"manifest": func() error { _, _, err := repo.Manifest(t.Context(), "latest"); return err },
		"tags":     func() error { _, err := repo.Tags(t.Context()); return err },
	} {
		if err := do(); !errdefs.IsUnavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
