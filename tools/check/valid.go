package check

import (
	"encoding/json"
	"fmt"

	"github.com/go-openapi/loads"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
)

// Valid returns what is wrong with a document as Swagger 2.0.
func Valid(doc *yaml.Node) error {
	raw, err := document.JSON(doc)
	if err != nil {
		return err
	}
	loaded, err := loads.Analyzed(json.RawMessage(raw), "2.0")
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return validate.Spec(loaded, strfmt.Default)
}
