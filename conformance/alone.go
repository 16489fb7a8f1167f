package conformance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/seed-50ced230/berth/conformance/document"
	"github.com/seed-50ced230/berth/conformance/wire"
)

// runAlone runs a case as if it were the only one: the suite has loaded nothing
// and asked nothing before, and the daemon's containers, images, networks and
// volumes are listed before and after. What differs is a finding. Nothing else
// may use the daemon meanwhile.
func (s *Suite) runAlone(ctx context.Context, c *Case) *Result {
	alone := NewSuite(s.Endpoint, s.Base, s.Timeout, s.RunID)
	alone.BeforeCleanup = s.BeforeCleanup
	alone.serial.Store(s.serial.Load())
	defer func() { s.serial.Store(alone.serial.Load()) }()
	before, err := s.inventory(ctx)
	if err != nil {
		return &Result{Case: c, Verdict: Blocked, Reason: err.Error()}
	}
	result := alone.Run(ctx, c)
	alone.RemoveImages([]*document.Document{c.Document})
	differences, err := s.since(ctx, before)
	if err != nil {
		differences = []Finding{{Rule: "alone", Text: err.Error()}}
	}
	if result.Findings = append(result.Findings, differences...); len(differences) > 0 && result.Verdict == Pass {
		result.Verdict = Fail
	}
	return result
}

// since lists what is there and was not, and the other way round. Some removals
// end after their answer; they have five seconds.
func (s *Suite) since(ctx context.Context, before map[string]bool) ([]Finding, error) {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		after, err := s.inventory(ctx)
		if err != nil {
			return nil, err
		}
		if maps.Equal(before, after) {
			return nil, nil
		}
		if time.Now().Before(deadline) {
			continue
		}
		var differences []Finding
		for _, object := range slices.Sorted(maps.Keys(after)) {
			if !before[object] {
				differences = append(differences, Finding{Rule: "alone", Text: "the case left " + object})
			}
		}
		for _, object := range slices.Sorted(maps.Keys(before)) {
			if !after[object] {
				differences = append(differences, Finding{Rule: "alone", Text: "the case took away " + object})
			}
		}
		return differences, nil
	}
}

// inventory is what the daemon has, one word per object. It asks without a
// version, which every version of the daemon answers; a daemon that has no
// networks or volumes says 404.
func (s *Suite) inventory(ctx context.Context) (map[string]bool, error) {
	objects := map[string]bool{}
	for _, kind := range []struct{ name, target, list, key string }{
		{"container", "/containers/json?all=1", "", "Id"},
		{"image", "/images/json?all=1", "", "Id"},
		{"network", "/networks", "", "Id"},
		{"volume", "/volumes", "Volumes", "Name"},
	} {
		response, _, err := wire.Do(ctx, s.Endpoint, wire.Request{Method: http.MethodGet, Target: kind.target, Header: http.Header{}}, s.Timeout)
		if err != nil {
			return nil, fmt.Errorf("list every %s: %w", kind.name, err)
		}
		if response.Status == http.StatusNotFound {
			continue
		}
		value, err := wire.DecodeJSON(response.Body)
		if err != nil || response.Status != http.StatusOK {
			return nil, fmt.Errorf("list every %s: status %d: %s", kind.name, response.Status, excerpt(response.Body))
		}
		if kind.list != "" {
			value = at(value, kind.list)
		}
		items, _ := value.([]any) // null is an empty list
		for _, item := range items {
			objects[fmt.Sprintf("%s %v", kind.name, at(item, kind.key))] = true
			tags, _ := at(item, "RepoTags").([]any)
			for _, tag := range tags {
				objects[fmt.Sprintf("name %v", tag)] = true
			}
		}
	}
	return objects, nil
}
