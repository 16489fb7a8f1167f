package registry

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

func TestParseCredential(t *testing.T) {
	jane := Credential{Username: "jane", Password: "s?>cret"}
	plain := `{"username":"jane","password":"s?>cret","email":"jane@example.com","serveraddress":"https://index.docker.io/v1/"}`
	for name, c := range map[string]struct {
		header string
		want   Credential
		ok     bool
	}{
		"absent":             {"", Credential{}, false},
		"empty object":       {"e30=", Credential{}, true},
		"URL alphabet":       {base64.URLEncoding.EncodeToString([]byte(plain)), jane, true},
		"standard alphabet":  {base64.StdEncoding.EncodeToString([]byte(plain)), jane, true},
		"no padding":         {base64.RawURLEncoding.EncodeToString([]byte(plain)), jane, true},
		"identity token":     {base64.URLEncoding.EncodeToString([]byte(`{"identitytoken":"9cba"}`)), Credential{IdentityToken: "9cba"}, true},
		"registry token":     {base64.URLEncoding.EncodeToString([]byte(`{"registrytoken":"abc","username":"x"}`)), Credential{RegistryToken: "abc"}, true},
		"name and password":  {base64.URLEncoding.EncodeToString([]byte(`{"auth":"amFuZTpzPz5jcmV0"}`)), jane, true},
		"no base64":          {"!!!", Credential{}, false},
		"no JSON":            {base64.URLEncoding.EncodeToString([]byte("jane")), Credential{}, false},
		"a list":             {base64.URLEncoding.EncodeToString([]byte("[]")), Credential{}, false},
		"wrong types":        {base64.URLEncoding.EncodeToString([]byte(`{"username":1}`)), Credential{}, false},
		"longer than a book": {strings.Repeat("A", 2<<20), Credential{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := ParseCredential(c.header)
			if got != c.want || ok != c.ok {
				t.Errorf("got %+v %v", reflect.ValueOf(got), ok)
			}
		})
	}
}

func TestCredentialIsNotPrinted(t *testing.T) {
	c := Credential{Username: "jane", Password: "secret"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, c); strings.Contains(text, "secret") {
			t.Errorf("%s gives %s", format, text)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	for header, want := range map[string][]challenge{
		`Basic realm="a b"`: {{"basic", map[string]string{"realm": "a b"}}},
		`Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"`: {
			{"bearer", map[string]string{"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"}},
		},
		`Basic realm="a", Bearer realm="b\"c" , service = d`: {
			{"basic", map[string]string{"realm": "a"}}, {"bearer", map[string]string{"realm": `b"c`, "service": "d"}},
		},
		`Negotiate`:         {{"negotiate", map[string]string{}}},
		`Bearer realm="x`:   {{"bearer", map[string]string{}}},
		`=x`:                nil,
		``:                  nil,
		`realm="no scheme"`: nil,
	} {
		got := parseChallenges([]string{header})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v", header, got)
		}
	}
}

func FuzzParseCredential(f *testing.F) {
	f.Add("e30=")
	f.Add(base64.URLEncoding.EncodeToString([]byte(`{"username":"a","password":"b"}`)))
	f.Fuzz(func(t *testing.T, header string) {
		defer effort.Bound()()
		if cred, ok := ParseCredential(header); !ok && cred != (Credential{}) {
			t.Error("a malformed header gives credentials")
		}
	})
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://a/t",service="s",scope="repository:x:pull,push", Basic realm=x`)
	f.Add(`a="\`)
	f.Fuzz(func(t *testing.T, header string) {
		defer effort.Bound()()
		for _, c := range parseChallenges([]string{header}) {
			if c.scheme == "" || c.params == nil {
				t.Errorf("challenge %+v", c)
			}
		}
	})
}
