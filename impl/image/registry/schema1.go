package registry

import (
	"encoding/base64"
	"encoding/json"

	"github.com/seed-50ced230/berth/impl/fault"
)

// unsigned returns what a schema 1 manifest's digest is made of: the document
// as it was before signatures were added (Image Manifest V 2, Schema 1,
// "Signed Manifests"). The signatures themselves prove nothing here: they are
// made with a key that the manifest brings along.
func unsigned(raw []byte) ([]byte, error) {
	var doc struct {
		Signatures []struct {
			Protected string `json:"protected"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fault.Invalid("invalid manifest: %w", err)
	}
	if len(doc.Signatures) == 0 {
		return raw, nil
	}
	head, err := base64.RawURLEncoding.DecodeString(doc.Signatures[0].Protected)
	if err != nil {
		return nil, fault.Invalid("invalid manifest signature: %w", err)
	}
	var protected struct {
		FormatLength int    `json:"formatLength"`
		FormatTail   string `json:"formatTail"`
	}
	if err := json.Unmarshal(head, &protected); err != nil {
		return nil, fault.Invalid("invalid manifest signature: %w", err)
	}
	tail, err := base64.RawURLEncoding.DecodeString(protected.FormatTail)
	if err != nil || protected.FormatLength < 0 || protected.FormatLength > len(raw) {
		return nil, fault.Invalid("invalid manifest signature")
	}
	return append(raw[:protected.FormatLength:protected.FormatLength], tail...), nil
}
