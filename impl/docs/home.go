package docs

import "fmt"

// group are the operations of a tag, for the table of the first page.
type group struct {
	Name string
	Rows []row
}

type row struct {
	ID, Summary string
	Cells       []cell
}

// cell is an operation in a version.
type cell struct {
	Version            string
	There              bool
	Mark, Title, Class string
}

// Tags groups all operations of all versions.
func (s *Site) Tags() []group {
	var groups []group
	at := map[string]int{}
	for _, id := range s.contract.ids() {
		newest := s.contract.newest(id)
		i, ok := at[newest.Tag]
		if !ok {
			i = len(groups)
			at[newest.Tag] = i
			groups = append(groups, group{Name: newest.Tag})
		}
		groups[i].Rows = append(groups[i].Rows, row{ID: id, Summary: newest.Summary, Cells: s.cells(id)})
	}
	return groups
}

func (s *Site) cells(id string) []cell {
	var cells []cell
	previous := ""
	for _, v := range s.contract.versions {
		c := cell{Version: v.Name, There: v.byID[id] != nil, Mark: "●", Class: "same", Title: id + " in " + v.Name}
		if previous != "" && len(s.contract.changesOf(id, previous, v.Name)) > 0 {
			c.Mark, c.Class = "○", "changed"
			c.Title += ", changed"
		}
		if found := s.conformance.of(v.Name, id); found != nil {
			c.Mark = fmt.Sprintf("%d/%d", found.Passed, found.Cases)
			if found.Passed < found.Cases {
				c.Class += " failed"
			}
		}
		previous = v.Name
		cells = append(cells, c)
	}
	return cells
}

// Report is the run that is shown beside the operations, nil if there is none.
func (s *Site) Report() *Conformance { return s.conformance }

// listed are operations with what differs in them, for a page that lies below
// root.
type listed struct {
	Root string
	List []operationDifference
}

// Listed pairs the two for the templates.
func (s *Site) Listed(root string, list []operationDifference) listed { return listed{root, list} }
