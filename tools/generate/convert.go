package main

import (
	"fmt"

	"github.com/jmattheis/goverter"
)

// convert runs goverter over the conversions that the versions declared.
func (g *maker) convert(versions []source) error {
	patterns := make([]string, 0, len(versions))
	for _, v := range versions {
		patterns = append(patterns, "./gen/"+v.pkg+"/fromhub", "./gen/"+v.pkg+"/tohub")
	}
	err := goverter.GenerateConverters(&goverter.GenerateConfig{
		PackagePatterns: patterns,
		WorkingDir:      g.root,
	})
	if err != nil {
		return fmt.Errorf("goverter: %w", err)
	}
	return nil
}
