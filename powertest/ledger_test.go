package powertest

import (
	"fmt"
	"slices"
	"strings"
)

// ledger is what clients were told, and when: the moments are numbers of requests that
// the disk had taken.
type ledger struct {
	now  func() int
	told []answer
	// builds are the spans of builds, whose containers come and go without names.
	builds [][2]int
}

// answer says that a thing is so since some moment between asked, when a request was
// about to be sent, and answered, when the answer was there. An empty value: it is not
// there.
type answer struct {
	thing, value    string
	asked, answered int
}

// tell notes what an answer said of things.
func (l *ledger) tell(asked int, things map[string]string) {
	now := l.now()
	for thing, value := range things {
		l.told = append(l.told, answer{thing, value, asked, now})
	}
}

// last is what was told of a thing last.
func (l *ledger) last(thing string) string {
	may := l.may(thing, l.now())
	return may[len(may)-1]
}

// may gives what a thing may be when power goes at a moment.
func (l *ledger) may(thing string, at int) []string {
	may := []string{""}
	for _, a := range l.told {
		switch {
		case a.thing != thing:
		case a.answered <= at:
			may = []string{a.value}
		case a.asked < at:
			may = append(may, a.value)
		}
	}
	return may
}

// things are all that the ledger knows.
func (l *ledger) things() []string {
	known := map[string]bool{}
	for _, a := range l.told {
		known[a.thing] = true
	}
	return sorted(known)
}

// moments are those at which answers were there.
func (l *ledger) moments() (list []int) {
	for _, a := range l.told {
		list = append(list, a.answered)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// momentsOf are those at which answers told of things that are called so.
func (l *ledger) momentsOf(prefix string) (list []int) {
	for _, a := range l.told {
		if strings.HasPrefix(a.thing, prefix) && a.value != "" {
			list = append(list, a.answered)
		}
	}
	return list
}

// compare gives what is wrong with what was found after power went at a moment.
func (l *ledger) compare(at int, found map[string]string) (wrong []string) {
	for _, thing := range l.things() {
		if may := l.may(thing, at); !slices.Contains(may, found[thing]) {
			wrong = append(wrong, fmt.Sprintf("%s is %q and may be %q", thing, found[thing], may))
		}
	}
	known := l.things()
	for _, thing := range sorted(found) {
		if _, ok := slices.BinarySearch(known, thing); !ok && !(strings.Contains(thing, "_") && l.building(at)) {
			wrong = append(wrong, fmt.Sprintf("%s is %q, and nobody asked for it", thing, found[thing]))
		}
	}
	return wrong
}

// building says whether a build was under way.
func (l *ledger) building(at int) bool {
	return slices.ContainsFunc(l.builds, func(b [2]int) bool { return b[0] < at && at < b[1] })
}

func sorted[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

func lines(list []string) string { return "  " + strings.Join(list, "\n  ") }
