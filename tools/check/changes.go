package check

import (
	"fmt"
	"strings"

	"github.com/seed-50ced230/berth/tools/contract"
	"github.com/seed-50ced230/berth/tools/document"
)

// changes demands that every documented change of every version but the first
// is either carried out by actions or listed, with a reason, as one without a
// shape; not both, and not twice.
func (r *Report) changes(in Input) {
	shaped := map[string]bool{} // by id: whether an action does more than show it in an example
	for _, v := range in.Contract.Versions {
		for _, a := range v.Actions {
			r.Actions[v.Number]++
			if strings.TrimSpace(a.Description) == "" && !a.ExamplesOnly {
				r.problem("v%s action %d (%s): no description", v.Number, a.Number, a.Target)
			}
			for _, id := range a.Changes {
				if !strings.HasPrefix(id, "v"+v.Number+"-") {
					r.problem("v%s action %d (%s): the change %q is of another version", v.Number, a.Number, a.Target, id)
				}
				if !a.ExamplesOnly {
					shaped[id] = true
				} else if _, ok := shaped[id]; !ok {
					shaped[id] = false
				}
			}
		}
	}
	shapeless := map[string]contract.Shapeless{}
	for _, s := range in.Contract.Shapeless {
		if _, twice := shapeless[s.ID]; twice {
			r.problem("shapeless.yaml: %s is there twice", s.ID)
		}
		if s.Description == "" || s.Reason == "" {
			r.problem("shapeless.yaml: %s needs a description and a reason", s.ID)
		}
		shapeless[s.ID] = s
	}
	known := map[string]bool{}
	for _, v := range in.Versions[1:] {
		ids := map[string]bool{}
		for _, op := range document.Operations(in.Documents[v]) {
			ids[op.ID] = true
		}
		for i := range in.Changes[v] {
			id := fmt.Sprintf("v%s-%02d", v, i+1)
			known[id] = true
			is := shaped[id]
			s, isnt := shapeless[id]
			switch {
			case is && isnt:
				r.problem("%s: an action carries it out and shapeless.yaml lists it", id)
			case is:
				r.Shaped[v]++
			case isnt:
				r.Shapeless[v]++
				for _, op := range s.Operations {
					if !ids[op] {
						r.problem("shapeless.yaml: %s names the operation %q, which v%s lacks", id, op, v)
					}
				}
			default:
				r.problem("%s: no action carries it out and shapeless.yaml does not list it", id)
			}
		}
	}
	for id := range shaped {
		if !known[id] {
			r.problem("%s: there is no such change", id)
		}
	}
	for id := range shapeless {
		if !known[id] {
			r.problem("shapeless.yaml: there is no change %s", id)
		}
	}
}
