package registry

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// maxCredential bounds the header; tokens have some thousand bytes.
const maxCredential = 1 << 20

// ParseCredential reads the header X-Registry-Auth: base64 of a JSON object
// (v1.23 reference, "Pull or import an image" and "Push an image": credential
// based and token based login). Both alphabets are read, with padding or
// without, as clients differ. ok is false when the header is absent, empty or
// malformed; engines take such a client for nobody.
func ParseCredential(header string) (cred Credential, ok bool) {
	if header == "" || len(header) > maxCredential {
		return Credential{}, false
	}
	plain := strings.TrimRight(header, "=")
	plain = strings.NewReplacer("+", "-", "/", "_", "\r", "", "\n", "").Replace(plain)
	raw, err := base64.RawURLEncoding.DecodeString(plain)
	if err != nil {
		return Credential{}, false
	}
	var fields struct {
		Username      string `json:"username"`
		Password      string `json:"password"`
		Auth          string `json:"auth"`
		IdentityToken string `json:"identitytoken"`
		RegistryToken string `json:"registrytoken"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return Credential{}, false
	}
	return MakeCredential(fields.Username, fields.Password, fields.Auth, fields.IdentityToken, fields.RegistryToken), true
}

// MakeCredential makes a credential of the fields of an AuthConfig. A token
// outranks a password; basic is base64 of "name:password" and stands in where
// both are empty.
func MakeCredential(username, password, basic, identityToken, registryToken string) Credential {
	switch {
	case registryToken != "":
		return Credential{RegistryToken: registryToken}
	case identityToken != "":
		return Credential{Username: username, IdentityToken: identityToken}
	case username == "" && password == "" && basic != "":
		if raw, err := base64.StdEncoding.DecodeString(basic); err == nil {
			username, password, _ = strings.Cut(string(raw), ":")
			password = strings.Trim(password, "\x00")
		}
	}
	return Credential{Username: username, Password: password}
}

// String hides what a log line must not show.
func (c Credential) String() string {
	if c == (Credential{}) {
		return "nobody"
	}
	return "(credentials)"
}

// GoString is String, for %#v.
func (c Credential) GoString() string { return c.String() }
