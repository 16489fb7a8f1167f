package config

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzSocket reads a value of --socket. What is taken has a socket's file, allows
// something, and is the same out of the file of settings.
func FuzzSocket(f *testing.F) {
	f.Add("unix:///run/a.sock,allow=Containers+ImageList,label=team=a,group=docker")
	f.Add("unix:///run/a.sock,allow=A,allow=B,label=a=b=c,label=d=")
	f.Add("unix://a,allow=")
	f.Fuzz(func(t *testing.T, text string) {
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
