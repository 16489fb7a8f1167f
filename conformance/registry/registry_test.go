package registry_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/conformance/image"
	"github.com/seed-50ced230/berth/conformance/registry"
)

func start(t *testing.T, username, password string) *registry.Registry {
	t.Helper()
	r, err := registry.Start(username, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func do(t *testing.T, method, url string, body []byte) *http.Response {
	t.Helper()
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestPushInThreeStepsThenPull(t *testing.T) {
	r := start(t, "", "")
	base := "http://" + r.Address
	began := do(t, http.MethodPost, base+"/v2/a/b/blobs/uploads/", nil)
	if began.StatusCode != http.StatusAccepted {
		t.Fatalf("POST: %s", began.Status)
	}
	location := base + began.Header.Get("Location")
	if patched := do(t, http.MethodPatch, location, []byte("content")); patched.StatusCode != http.StatusAccepted || patched.Header.Get("Range") != "0-6" {
		t.Fatalf("PATCH: %s, range %s", patched.Status, patched.Header.Get("Range"))
	}
	digest := image.Digest([]byte("content"))
	if refused := do(t, http.MethodPut, location+"?digest="+image.Digest([]byte("other")), nil); refused.StatusCode != http.StatusBadRequest {
		t.Errorf("PUT with another digest: %s", refused.Status)
	}
	if put := do(t, http.MethodPut, location+"?digest="+digest, nil); put.StatusCode != http.StatusCreated {
		t.Fatalf("PUT: %s", put.Status)
	}
	pulled := do(t, http.MethodGet, base+"/v2/a/b/blobs/"+digest, nil)
	if content, _ := io.ReadAll(pulled.Body); string(content) != "content" {
		t.Errorf("pulled %q", content)
	}
	if put := do(t, http.MethodPut, base+"/v2/a/b/manifests/v1", []byte("{}")); put.StatusCode != http.StatusCreated || !r.Has("a/b", "v1") {
		t.Errorf("manifest: %s", put.Status)
	}
	if missing := do(t, http.MethodGet, base+"/v2/a/b/manifests/v2", nil); missing.StatusCode != http.StatusNotFound {
		t.Errorf("missing manifest: %s", missing.Status)
	}
}

func TestLogin(t *testing.T) {
	r := start(t, "jane", "secret")
	if refused := do(t, http.MethodGet, "http://"+r.Address+"/v2/", nil); refused.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(refused.Header.Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("without a password: %s", refused.Status)
	}
	if accepted := do(t, http.MethodGet, "http://jane:secret@"+r.Address+"/v2/", nil); accepted.StatusCode != http.StatusOK {
		t.Errorf("with the password: %s", accepted.Status)
	}
}
