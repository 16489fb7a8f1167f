package manual

import (
	"fmt"
	"strings"
)

// markdown is the flags' page of the documentation.
func (p Program) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s is %s.\n\n", p.Name, p.Name, p.Summary)
	for _, paragraph := range p.Main.About {
		b.WriteString(mark(paragraph) + "\n\n")
	}
	b.WriteString("    " + strings.Join(p.Main.Usage, "\n    ") + "\n")
	for _, note := range p.Main.Notes {
		b.WriteString("\n" + mark(note) + "\n")
	}
	for _, s := range p.sections() {
		head, rule := "| flag | ", "|---|"
		if p.Keys != nil {
			head, rule = head+"key in the file | ", rule+"---|"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%smeaning | default |\n%s---|---|\n", s.name, head, rule)
		for _, f := range s.flags {
			name := "`--" + f.Name + "`"
			if f.Shorthand != "" {
				name = "`-" + f.Shorthand + "`, " + name
			}
			key := ""
			if p.Keys != nil {
				key = code(p.Keys[f.Name]) + " | "
			}
			fmt.Fprintf(&b, "| %s | %s%s | %s |\n", name, key, cell(sentence(f.Usage)), code(preset(f)))
		}
	}
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "\n## %s %s\n\n", p.Name, c.Name)
		for _, paragraph := range c.About {
			b.WriteString(mark(paragraph) + "\n\n")
		}
		b.WriteString("    " + strings.Join(c.Usage, "\n    ") + "\n")
		table(&b, "status", c.Exit)
	}
	for _, part := range []struct {
		name, head string
		items      []Item
	}{{"Exit status", "status", p.Main.Exit}, {"Signals", "signal", p.Signals}, {"Files", "file", p.Files}} {
		if len(part.items) > 0 {
			fmt.Fprintf(&b, "\n## %s\n", part.name)
			table(&b, part.head, part.items)
		}
	}
	return b.String()
}

func table(b *strings.Builder, head string, items []Item) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "\n| %s | meaning |\n|---|---|\n", head)
	for _, i := range items {
		fmt.Fprintf(b, "| `%s` | %s |\n", i.Term, cell(i.Text))
	}
}

// code is text as it is typed.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// cell is text inside a table.
func cell(text string) string { return strings.ReplaceAll(mark(text), "|", `\|`) }

// mark keeps what Markdown would read as HTML or emphasis.
func mark(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`).Replace(text)
}
