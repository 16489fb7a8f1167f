package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzSpecification reads the files .spec and .json that name a plugin's address.
func FuzzSpecification(f *testing.F) {
	f.Add(".spec", "unix:///run/a.sock\n")
	f.Add(".spec", "tcp://localhost:80")
	f.Add(".json", `{"Name":"a","Addr":"https://a.example","TLSConfig":{"CAFile":"/a","InsecureSkipVerify":false}}`)
	f.Add(".json", `{"addr":"http://[::1]:1/base/"}`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, ext, text string) {
		defer effort.Bound()()
		if ext != ".json" {
			ext = ".spec"
		}
		path := filepath.Join(dir, "a"+ext)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := readAddress(path)
		if err != nil {
			return
		}
		switch a.network {
		case "unix":
			if !filepath.IsAbs(a.host) || a.base != "" {
				t.Errorf("%q: %+v", text, a)
			}
		case "tcp":
			if !strings.Contains(a.host, ":") {
				t.Errorf("%q: %+v has no port", text, a)
			}
		default:
			t.Errorf("%q: %+v", text, a)
		}
		if (a.CAFile != "" || a.CertFile != "") && !a.tls {
			t.Errorf("%q: a certificate without TLS: %+v", text, a)
		}
	})
}

// FuzzAnswer reads any answer of a plugin to a question that needs a yes. Only a JSON
// object that says so, and no error, with status 200 is one.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"Allow":true,"Msg":"","Err":""}`))
	f.Add(200, []byte(`{"Allow":true,"Err":"x"}`))
	f.Add(500, []byte(`{"Allow":true}`))
	f.Add(200, []byte(``))
	f.Add(200, []byte(`null`))
	f.Add(302, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		defer effort.Bound()()
		var answer struct{ Allow bool }
		err := (&Plugin{name: "a"}).decode("AuthZPlugin.AuthZReq", status, "a status", text, &answer)
		if err == nil && answer.Allow && (status != 200 || !strings.Contains(strings.ToLower(string(text)), "true")) {
			t.Errorf("%d %q is a yes", status, text)
		}
		if err != nil && len(err.Error()) > maxError+1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
