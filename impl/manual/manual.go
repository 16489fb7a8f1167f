// Package manual says what a program's commands and flags are, once, and writes
// it in every form that people read or shells run: help texts, man pages,
// a page of Markdown, and completions for bash, zsh and fish.
package manual

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Program is a program of the command line.
type Program struct {
	// Name is what is typed, Section the chapter of the manual (1 for everybody's
	// commands, 8 for those of the administrator).
	Name    string
	Section int
	// Summary is a part of a sentence, "a container engine that …".
	Summary string
	// Main is the program without a command's name.
	Main Command
	// Commands are those that are named by the first argument.
	Commands []Command
	// Groups put Main's flags in an order to read; flags in no group come last.
	Groups []Group
	// Values are the words that a flag takes, by its name.
	Values map[string][]string
	// Paths are the flags whose value is a path.
	Paths []string
	// Keys are the names of the flags in the configuration file, "" for a flag that
	// cannot stand there; nil if there is no such file.
	Keys map[string]string
	// Signals and Files are described at the end of the man page.
	Signals, Files []Item
	// SeeAlso are other pages, "berth-conformance(1)".
	SeeAlso []string
}

// Command is what a program does if it is asked in one way.
type Command struct {
	// Name is empty for the program itself.
	Name string
	// Summary is a part of a sentence for lists.
	Summary string
	// Usage are the forms of the command line.
	Usage []string
	// About are paragraphs.
	About []string
	// Arguments are the words that may follow the name.
	Arguments []string
	// Flags are shown; the command may accept others, too.
	Flags *pflag.FlagSet
	// Notes are paragraphs that follow the flags.
	Notes    []string
	Examples []Item
	// Exit are the statuses and what they mean.
	Exit []Item
}

// Item is a term and what it means.
type Item struct{ Term, Text string }

// Group are flags of one subject, by their names.
type Group struct {
	Name  string
	Flags []string
}

// Formats are the names of the forms that Write knows.
func Formats() []string { return []string{"man", "markdown", "bash", "zsh", "fish"} }

// Write writes the program's manual in a format of Formats.
func Write(w io.Writer, p Program, format string) error {
	var text string
	switch format {
	case "man":
		text = p.man()
	case "markdown":
		text = p.markdown()
	case "bash":
		text = p.bash()
	case "zsh":
		text = p.zsh()
	case "fish":
		text = p.fish()
	default:
		return fmt.Errorf("manual %q: use one of %s", format, strings.Join(Formats(), ", "))
	}
	_, err := io.WriteString(w, text)
	return err
}

// Help writes what --help shows of a command; empty is the program itself.
func Help(w io.Writer, p Program, name string) {
	c := p.Main
	for _, other := range p.Commands {
		if other.Name == name {
			c = other
		}
	}
	var b strings.Builder
	if c.Name == "" {
		fmt.Fprintf(&b, "%s is %s.\n\n", p.Name, p.Summary)
	}
	for _, paragraph := range c.About {
		b.WriteString(wrap(paragraph, 80) + "\n\n")
	}
	b.WriteString("Usage:\n")
	for _, line := range c.Usage {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if c.Name == "" && len(p.Commands) > 0 {
		b.WriteString("\nCommands:\n")
		for _, other := range p.Commands {
			fmt.Fprintf(&b, "  %-10s %s; see %s %s --help\n", other.Name, other.Summary, p.Name, other.Name)
		}
	}
	items(&b, "Examples", c.Examples)
	items(&b, "Exit status", c.Exit)
	if c.Flags != nil && c.Flags.HasAvailableFlags() {
		b.WriteString("\nFlags:\n" + c.Flags.FlagUsages())
	}
	for _, note := range c.Notes {
		b.WriteString("\n" + wrap(note, 80) + "\n")
	}
	_, _ = io.WriteString(w, b.String())
}

func items(b *strings.Builder, title string, list []Item) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	width := 0
	for _, i := range list {
		width = max(width, min(len(i.Term), 40))
	}
	for _, i := range list {
		fmt.Fprintf(b, "%s\n", strings.TrimRight(fmt.Sprintf("  %-*s  %s", width, i.Term, i.Text), " "))
	}
}

// wrap breaks a paragraph into lines of at most width characters.
func wrap(text string, width int) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}

// flags are the flags of a set that are shown, in their order.
func flags(set *pflag.FlagSet) []*pflag.Flag {
	var list []*pflag.Flag
	if set != nil {
		set.VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				list = append(list, f)
			}
		})
	}
	return list
}

// section is a heading with its flags.
type section struct {
	name  string
	flags []*pflag.Flag
}

// sections are Main's flags by their groups.
func (p Program) sections() []section {
	if len(p.Groups) == 0 {
		return []section{{"Flags", flags(p.Main.Flags)}}
	}
	var list []section
	grouped := map[string]bool{}
	for _, g := range p.Groups {
		s := section{name: g.Name}
		for _, name := range g.Flags {
			if f := p.Main.Flags.Lookup(name); f != nil && !f.Hidden {
				s.flags = append(s.flags, f)
				grouped[name] = true
			}
		}
		list = append(list, s)
	}
	rest := section{name: "Others"}
	for _, f := range flags(p.Main.Flags) {
		if !grouped[f.Name] {
			rest.flags = append(rest.flags, f)
		}
	}
	if len(rest.flags) > 0 {
		list = append(list, rest)
	}
	return list
}

// placeholder is what stands for a flag's value, empty if it takes none.
func (p Program) placeholder(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return ""
	case "int", "int64":
		return "NUMBER"
	case "duration":
		return "DURATION"
	}
	if slices.Contains(p.Paths, f.Name) {
		return "PATH"
	}
	return "VALUE"
}

// repeats says that a flag may be given several times.
func repeats(f *pflag.Flag) bool { return f.Value.Type() == "stringArray" }

// preset is a flag's default as it is typed, empty if there is none.
func preset(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "[]", "0", "0s":
		return ""
	case "false":
		return ""
	}
	if repeats(f) {
		return strings.ReplaceAll(strings.Trim(f.DefValue, "[]"), ",", " ")
	}
	return f.DefValue
}
