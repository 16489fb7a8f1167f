// Package contract loads the contract: the first version's document and the
// later versions' overlays, applied one after the other.
package contract

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/seed-50ced230/berth/tools/document"
	"github.com/seed-50ced230/berth/tools/overlay"
)

// Version is one version of the API.
type Version struct {
	Number   string           // "1.18"
	Document *yaml.Node       // complete
	Actions  []overlay.Action // what the overlay did to the version before; none for the first
}

// Contract is all versions, oldest first.
type Contract struct {
	Versions  []Version
	Shapeless []Shapeless
}

// Shapeless is a documented change that leaves no mark on the documents, with
// the reason: one entry of shapeless.yaml.
type Shapeless struct {
	ID          string   `yaml:"id"` // "v1.22-09"
	Description string   `yaml:"description"`
	Reason      string   `yaml:"reason"`
	Operations  []string `yaml:"operations"`
}

// Load reads v1.NN.yaml, the only one in dir, the overlays that follow it and
// shapeless.yaml.
func Load(dir string) (*Contract, error) {
	bases, err := filepath.Glob(filepath.Join(dir, "v1.*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(bases) != 1 {
		return nil, fmt.Errorf("%s holds %d complete documents, want one", dir, len(bases))
	}
	number := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(bases[0]), "v"), ".yaml")
	minor, err := strconv.Atoi(strings.TrimPrefix(number, "1."))
	if err != nil {
		return nil, fmt.Errorf("%s: no version: %w", bases[0], err)
	}
	doc, err := document.Load(bases[0])
	if err != nil {
		return nil, err
	}
	c := &Contract{}
	finish(doc, number)
	c.Versions = append(c.Versions, Version{Number: number, Document: doc})
	var errs []error
	for {
		minor++
		number = fmt.Sprintf("1.%d", minor)
		o, err := overlay.Load(filepath.Join(dir, "overlays", "v"+number+".yaml"))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		doc = document.Clone(doc)
		actions, err := o.Apply(doc)
		if err != nil {
			errs = append(errs, err)
		}
		finish(doc, number)
		c.Versions = append(c.Versions, Version{Number: number, Document: doc, Actions: actions})
	}
	if err := c.loadShapeless(filepath.Join(dir, "shapeless.yaml")); err != nil {
		errs = append(errs, err)
	}
	return c, errors.Join(errs...)
}

func (c *Contract) loadShapeless(path string) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(raw, &c.Shapeless); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// finish sets what follows from the version's number and puts the paths into
// the order of the document's tags, so that an operation that an overlay adds
// stands with its kind.
func finish(doc *yaml.Node, number string) {
	document.Set(doc, "basePath", document.String("/v"+number))
	if info := document.Get(doc, "info"); info != nil {
		document.Set(info, "version", document.String(number))
	}
	rank := map[string]int{}
	for i, tag := range document.Items(document.Get(doc, "tags")) {
		rank[document.Text(tag, "name")] = i
	}
	first := func(item *yaml.Node) int {
		for _, entry := range document.Pairs(item) {
			if document.IsMethod(entry.Key) {
				if tags := document.Texts(document.Get(entry.Value, "tags")); len(tags) > 0 {
					return rank[tags[0]]
				}
			}
		}
		return len(rank)
	}
	paths := document.Get(doc, "paths")
	if paths == nil {
		return
	}
	pairs := document.Pairs(paths)
	slices.SortStableFunc(pairs, func(a, b document.Pair) int { return first(a.Value) - first(b.Value) })
	paths.Content = document.Mapping(pairs...).Content
}

// Published renders a document as it is published: without the extensions that
// say how its types are called in berth's own Go code.
func Published(doc *yaml.Node) ([]byte, error) {
	doc = document.Clone(doc)
	document.DeleteKeys(doc, func(key string) bool { return strings.HasPrefix(key, "x-go-") })
	return document.JSON(doc)
}
