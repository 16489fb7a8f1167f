package conformance

import "slices"

// Step is a requirement whose answers differ between two versions that follow
// one another.
type Step struct {
	// Requirement is operationId/name, the part of a case's id that the versions
	// share.
	Requirement string `json:"requirement"`
	// From and To are versions.
	From string `json:"from"`
	To   string `json:"to"`
	// Differences are of To ("here") against From ("there").
	Differences []Finding `json:"differences"`
	// Changes are the documented changes of To that touch the operation; none
	// means that no document explains the difference.
	Changes []string `json:"changes,omitempty"`
}

// Axis sets each requirement beside itself over the versions. changes gives the
// documented changes of an operation in a version.
func Axis(results []*Result, changes func(operation, version string) []string) []Step {
	byRequirement := map[string][]*Result{}
	var order []string
	for _, result := range results {
		if len(result.Answers) == 0 || result.Verdict != Pass && result.Verdict != Fail {
			continue // a refusal to do it at all says nothing of the version
		}
		requirement := result.Operation.ID + "/" + result.Name
		if byRequirement[requirement] == nil {
			order = append(order, requirement)
		}
		byRequirement[requirement] = append(byRequirement[requirement], result)
	}
	var steps []Step
	for _, requirement := range order {
		group := byRequirement[requirement]
		slices.SortStableFunc(group, func(a, b *Result) int { return CompareVersions(a.Document.Version, b.Document.Version) })
		for i := 1; i < len(group); i++ {
			from, to := group[i-1], group[i]
			var differences []Finding
			for n := range min(len(from.Answers), len(to.Answers)) {
				differences = append(differences, to.Answers[n].Differences(from.Answers[n])...)
			}
			if len(differences) == 0 {
				continue
			}
			steps = append(steps, Step{
				Requirement: requirement, From: from.Document.Version, To: to.Document.Version, Differences: differences,
				Changes: changes(to.Operation.ID, to.Document.Version),
			})
		}
	}
	return steps
}
