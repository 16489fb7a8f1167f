package authz

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

// gate is a plugin that answers every question with the same bytes, after a
// moment; the connection is cut when they are over.
func gate(t *testing.T, answer string, after time.Duration) (*Chain, <-chan string) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "gate.sock"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "Activate") {
			_, _ = io.WriteString(w, `{"Implements":["authz"]}`)
			return
		}
		seen <- string(body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		select {
		case <-time.After(after):
			_, _ = io.WriteString(conn, answer)
		case <-t.Context().Done():
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	c := New([]string{"gate"}, dir, nil)
	c.call = time.Second
	return c, seen
}

// TestOnlyAYesAllows has a plugin answer what is not a whole and plain yes, at the
// request and at the answer: nothing of it allows.
func TestOnlyAYesAllows(t *testing.T) {
	whole := func(status, body string) string {
		return "HTTP/1.1 " + status + "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body
	}
	for name, c := range map[string]struct {
		answer string
		after  time.Duration
		yes    bool
	}{
		"yes":               {whole("200 OK", `{"Allow":true}`), 0, true},
		"no":                {whole("200 OK", `{"Allow":false}`), 0, false},
		"nothing":           {whole("200 OK", ""), 0, false},
		"null":              {whole("200 OK", "null"), 0, false},
		"a text":            {whole("200 OK", `{"Allow":"true"}`), 0, false},
		"a number":          {whole("200 OK", `{"Allow":1}`), 0, false},
		"a list":            {whole("200 OK", `[{"Allow":true}]`), 0, false},
		"yes and more":      {whole("200 OK", `{"Allow":true}{"Allow":false}`), 0, false},
		"yes, then no":      {whole("200 OK", `{"Allow":true,"Allow":false}`), 0, false},
		"yes and an error":  {whole("200 OK", `{"Allow":true,"Err":"broken"}`), 0, false},
		"a failure":         {whole("500 x", `{"Allow":true}`), 0, false},
		"no content":        {whole("204 x", ""), 0, false},
		"elsewhere":         {whole("307 x\r\nLocation: /yes", `{"Allow":true}`), 0, false},
		"not made":          {whole("403 x", `{"Allow":true}`), 0, false},
		"cut off":           {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + `{"Allow":true}`, 0, false},
		"half":              {whole("200 OK", `{"Allow":true`), 0, false},
		"a chunk short":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n" + `{"Allow":true}`, 0, false},
		"no HTTP":           {"\x00\x01\x02", 0, false},
		"closed":            {"", 0, false},
		"late":              {whole("200 OK", `{"Allow":true}`), time.Hour, false},
		"larger than 8 MiB": {whole("200 OK", strings.Repeat(" ", 9<<20)+`{"Allow":true}`), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain, _ := gate(t, c.answer, c.after)
			x, err := chain.Request(t.Context(), Question{Method: "GET", URI: "/v1.23/info"})
			after := x.Response(t.Context(), 200, http.Header{}, nil)
			for _, err := range []error{err, after} {
				switch {
				case c.yes && err != nil, !c.yes && err == nil:
					t.Errorf("%v", err)
				case err != nil && !errdefs.IsPermissionDenied(err) && !errdefs.IsInternal(err):
					t.Errorf("%v is neither a refusal nor the plugin's failure", err)
				}
			}
		})
	}
}

// TestCredentialsStay: no header with credentials goes to a plugin.
func TestCredentialsStay(t *testing.T) {
	chain, seen := gate(t, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+`{"Allow":true}`, 0)
	headers := http.Header{}
	for _, name := range []string{"x-registry-auth", "X-Registry-Config", "authorization", "Proxy-Authorization", "cookie"} {
		headers.Add(name, "secret")
	}
	headers.Add("X-Other", "other")
	x, err := chain.Request(t.Context(), Question{Method: "GET", URI: "/info", Headers: headers})
	if err == nil {
		err = x.Response(t.Context(), 200, headers, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if body := <-seen; strings.Contains(body, "secret") || !strings.Contains(body, "X-Other") {
			t.Error(body)
		}
	}
}
