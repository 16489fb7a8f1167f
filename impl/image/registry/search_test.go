package registry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestSearch(t *testing.T) {
	var index, catalog string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Path == "/v1/search" && index != "" && req.FormValue("q") == "ssh d":
			fmt.Fprint(w, index)
		case req.URL.Path == "/v2/_catalog" && catalog != "":
			fmt.Fprint(w, catalog)
		default:
			http.NotFound(w, req)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	c := newClient(t)
	search := func() ([]Found, error) { return c.Search(t.Context(), host+"/ssh d", Credential{}) }

	if _, err := search(); !errdefs.IsUnavailable(err) {
		t.Errorf("neither index nor catalog: %v", err)
	}
	catalog = `{"repositories":["b/ssh d","a/sshd","../ssh d","ssh d"]}`
	if found, err := c.Search(t.Context(), host+"/sshD", Credential{}); err != nil || !reflect.DeepEqual(found, []Found{{Name: host + "/a/sshd"}}) {
		t.Errorf("catalog: %v %v", found, err)
	}
	index = `{"num_results":2,"results":[{"name":"a/sshd","description":"d","star_count":3,"is_official":true,"is_trusted":true},{"name":"b"}]}`
	want := []Found{{Name: "a/sshd", Description: "d", Stars: 3, Official: true, Automated: true, Trusted: true}, {Name: "b"}}
	if found, err := search(); err != nil || !reflect.DeepEqual(found, want) {
		t.Errorf("index: %v %v", found, err)
	}
	for name, text := range map[string]string{"nonsense": "nonsense", "endless": strings.Repeat(" ", 5<<20)} {
		index = text
		if _, err := search(); !errdefs.IsUnavailable(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Search(t.Context(), "", Credential{}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("no term: %v", err)
	}
}

func TestSplitTerm(t *testing.T) {
	for term, want := range map[string][2]string{
		"sshd":                    {"", "sshd"},
		"library/busybox":         {"", "busybox"},
		"docker.io/library/x":     {"", "x"},
		"jane/sshd":               {"", "jane/sshd"},
		"localhost/a/b":           {"localhost", "a/b"},
		"127.0.0.1:5000/":         {"127.0.0.1:5000", ""},
		"registry.example.com/ab": {"registry.example.com", "ab"},
	} {
		host, words := splitTerm(term)
		if host != want[0] || words != want[1] {
			t.Errorf("%s: %q %q", term, host, words)
		}
	}
}
