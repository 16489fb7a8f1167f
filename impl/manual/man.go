package manual

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// man is the page for man(1), in the macros of man(7).
func (p Program) man() string {
	var b strings.Builder
	fmt.Fprintf(&b, ".\\\" Generated from the program's flags.\n.TH %s %d \"\" berth \"berth manual\"\n", roff(strings.ToUpper(p.Name)), p.Section)
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(p.Name), roff(p.Summary))
	b.WriteString(".nf\n")
	for _, c := range append([]Command{p.Main}, p.Commands...) {
		for _, usage := range c.Usage {
			fmt.Fprintf(&b, "\\fB%s\\fR\n", roff(usage))
		}
	}
	b.WriteString(".fi\n.SH DESCRIPTION\n")
	fmt.Fprintf(&b, "%s is %s.\n", roff(p.Name), roff(p.Summary))
	paragraphs(&b, p.Main.About)
	if len(p.Commands) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, c := range p.Commands {
			fmt.Fprintf(&b, ".SS %s\n%s.\n", roff(p.Name+" "+c.Name), roff(sentence(c.Summary)))
			paragraphs(&b, c.About)
			for _, f := range flags(c.Flags) {
				b.WriteString(p.option(f))
			}
			paragraphs(&b, c.Notes)
			list(&b, c.Exit)
		}
	}
	b.WriteString(".SH OPTIONS\n")
	for _, s := range p.sections() {
		if len(p.Groups) > 0 {
			fmt.Fprintf(&b, ".SS %s\n", roff(s.name))
		}
		for _, f := range s.flags {
			b.WriteString(p.option(f))
		}
	}
	paragraphs(&b, p.Main.Notes)
	for _, part := range []struct {
		name  string
		items []Item
	}{{"EXIT STATUS", p.Main.Exit}, {"SIGNALS", p.Signals}, {"FILES", p.Files}, {"EXAMPLES", p.examples()}} {
		if len(part.items) > 0 {
			fmt.Fprintf(&b, ".SH %s\n", part.name)
			list(&b, part.items)
		}
	}
	if len(p.SeeAlso) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", roff(strings.Join(p.SeeAlso, ", ")))
	}
	return b.String()
}

func (p Program) examples() []Item {
	var all []Item
	for _, c := range append([]Command{p.Main}, p.Commands...) {
		all = append(all, c.Examples...)
	}
	return all
}

func (p Program) option(f *pflag.Flag) string {
	name := "\\fB" + roff("--"+f.Name) + "\\fR"
	if f.Shorthand != "" {
		name = "\\fB" + roff("-"+f.Shorthand) + "\\fR, " + name
	}
	if placeholder := p.placeholder(f); placeholder != "" {
		name += " \\fI" + placeholder + "\\fR"
	}
	text := roff(sentence(f.Usage)) + "."
	if value := preset(f); value != "" {
		text += " Default: " + roff(value) + "."
	}
	return ".TP\n" + name + "\n" + text + "\n"
}

func list(b *strings.Builder, items []Item) {
	for _, i := range items {
		text := roff(i.Text)
		if text == "" {
			text = "\\&"
		}
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(i.Term), text)
	}
}

func paragraphs(b *strings.Builder, texts []string) {
	for _, text := range texts {
		fmt.Fprintf(b, ".PP\n%s\n", roff(text))
	}
}

// sentence begins with a capital letter.
func sentence(text string) string {
	if text == "" || strings.HasPrefix(text, "daemon.json") {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// roff writes text so that roff shows it as it is: a backslash begins an escape,
// a hyphen would become a dash that cannot be copied, and a dot or an apostrophe
// at the begin of a line a request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ", "…", `\[u2026]`, "≥", ">=").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
