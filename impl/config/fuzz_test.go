package config

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzSocket reads a value of --socket. What is taken has a socket's file, allows
// something, and is the same out of the file of settings.
func FuzzSocket(f *testing.F) {
	f.Add("unix:///run/a.sock,allow=Containers+ImageList,label=team=a,group=docker")
	f.Add("unix:///run/a.sock,allow=A,allow=B,label=a=b=c,label=d=")
	f.Add("unix://a,allow=")
	f.Fuzz(func(t *testing.T, text string) {
		defer effort.Bound()()
		s, err := parseSocket(text)
		if err != nil {
			return
		}
		if len(s.Allow) == 0 || !strings.HasPrefix(s.Address, "unix:///") || strings.Contains(strings.Join(s.Allow, ""), "+") {
			t.Errorf("%q: %+v", text, s)
		}
		for _, l := range s.Labels {
			if name, _, ok := strings.Cut(l, "="); !ok || name == "" {
				t.Errorf("%q: label %q", text, l)
			}
		}
		written, err := json.Marshal(Sockets{s})
		var read Sockets
		if err == nil {
			err = json.Unmarshal(written, &read)
		}
		if err != nil || strings.ToValidUTF8(text, "") == text && !reflect.DeepEqual(read, Sockets{s}) {
			t.Errorf("%q became %+v: %v", text, read, err)
		}
	})
}

// FuzzFile reads a file of settings. What is taken passes again, written as it was,
// and has no setting that no flag has.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"hosts":["unix:///run/a.sock"],"debug":true,"labels":["a=b"],"sockets":["unix:///b,allow=Images"],"log-opts":{"max-size":"1m"}}`))
	f.Add([]byte(`{"hosts":null,"group":7}`))
	f.Add([]byte(`{"unknown":1}`))
	f.Add([]byte(`null`))
	path := filepath.Join(f.TempDir(), "a.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Parse([]string{"--config-file", path}, io.Discard)
		if err != nil {
			return
		}
		var given map[string]json.RawMessage
		if err := json.Unmarshal(text, &given); err != nil {
			t.Fatalf("%q was taken: %v", text, err)
		}
		if _, ok := given["unknown"]; ok {
			t.Errorf("%q was taken", text)
		}
		again, err := Parse([]string{"--config-file", path}, io.Discard)
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("%q is read in two ways: %v", text, err)
		}
	})
}
