package manual

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// bash needs nothing but bash's own completion; --flag=VALUE comes in three
// words there, because "=" breaks words.
func (p Program) bash() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion for %[1]s, generated from its flags
_%[2]s() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	if [ "$cur" = = ]; then
		cur=
	elif [ "$prev" = = ]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	COMPREPLY=()
	case $prev in
`, p.Name, function(p.Name))
	var free []string
	for _, f := range p.all() {
		switch {
		case len(p.Values[f.Name]) > 0:
			fmt.Fprintf(&b, "\t%s)\n\t\tmapfile -t COMPREPLY < <(compgen -W %s -- \"$cur\")\n\t\treturn\n\t\t;;\n", strings.Join(typed(f), "|"), quote(strings.Join(p.Values[f.Name], " ")))
		case p.placeholder(f) == "PATH":
			fmt.Fprintf(&b, "\t%s)\n\t\tcompopt -o filenames 2>/dev/null\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n\t\treturn\n\t\t;;\n", strings.Join(typed(f), "|"))
		case p.placeholder(f) != "":
			free = append(free, typed(f)...)
		}
	}
	if len(free) > 0 {
		fmt.Fprintf(&b, "\t%s)\n\t\treturn\n\t\t;;\n", strings.Join(free, "|"))
	}
	b.WriteString("\tesac\n\tlocal words\n\tcase ${COMP_WORDS[1]} in\n")
	for _, c := range p.Commands {
		words := append(slices.Clone(c.Arguments), long(flags(c.Flags))...)
		fmt.Fprintf(&b, "\t%s)\n\t\twords=%s\n\t\t;;\n", c.Name, quote(strings.Join(words, " ")))
	}
	fmt.Fprintf(&b, "\t*)\n\t\twords=%s\n\t\t;;\n\tesac\n", quote(strings.Join(long(flags(p.Main.Flags)), " ")))
	if len(p.Commands) > 0 {
		fmt.Fprintf(&b, "\t[ \"$COMP_CWORD\" -ne 1 ] || words=%s\" $words\"\n", quote(strings.Join(p.names(), " ")))
	}
	fmt.Fprintf(&b, "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\ncomplete -F _%s %s\n", function(p.Name), p.Name)
	return b.String()
}

// zsh is for _arguments (zshcompsys(1)).
func (p Program) zsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# zsh completion for %[1]s, generated from its flags\n\n", p.Name)
	b.WriteString("local -a commands\n")
	if len(p.Commands) > 0 {
		b.WriteString("commands=(\n")
		for _, c := range p.Commands {
			fmt.Fprintf(&b, "\t%s\n", quote(c.Name+":"+c.Summary))
		}
		b.WriteString(")\n")
	}
	b.WriteString("case ${words[2]} in\n")
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "%s)\n\t_arguments -s %s", c.Name, quote("1:command:("+c.Name+")"))
		if len(c.Arguments) > 0 {
			fmt.Fprintf(&b, " %s", quote("2:format:("+strings.Join(c.Arguments, " ")+")"))
		}
		b.WriteString(p.zshFlags(flags(c.Flags)) + "\n\t;;\n")
	}
	b.WriteString("*)\n\t_arguments -s")
	if len(p.Commands) > 0 {
		b.WriteString(" '1:command:{_describe command commands}'")
	}
	b.WriteString(p.zshFlags(flags(p.Main.Flags)) + "\n\t;;\nesac\n")
	return b.String()
}

func (p Program) zshFlags(list []*pflag.Flag) string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	for _, f := range list {
		action := ""
		switch {
		case len(p.Values[f.Name]) > 0:
			action = ":value:(" + strings.Join(p.Values[f.Name], " ") + ")"
		case p.placeholder(f) == "PATH":
			action = ":path:_files"
		case p.placeholder(f) != "":
			action = ":" + strings.ToLower(p.placeholder(f)) + ": "
		}
		for _, name := range typed(f) {
			before := "(" + strings.Join(typed(f), " ") + ")"
			if repeats(f) {
				before = "*"
			}
			if action != "" && strings.HasPrefix(name, "--") {
				name += "="
			}
			fmt.Fprintf(&b, " \\\n\t\t%s", quote(before+name+"["+escape.Replace(f.Usage)+"]"+action))
		}
	}
	return b.String()
}

// fish is a list of complete commands (complete(1) of fish).
func (p Program) fish() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion for %s, generated from its flags\ncomplete -c %[1]s -f\n", p.Name)
	for _, c := range p.Commands {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", p.Name, c.Name, fishQuote(c.Summary))
		seen := "'__fish_seen_subcommand_from " + c.Name + "'"
		if len(c.Arguments) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n %s -a %s\n", p.Name, seen, fishQuote(strings.Join(c.Arguments, " ")))
		}
		b.WriteString(p.fishFlags(" -n "+seen, flags(c.Flags)))
	}
	condition := ""
	if len(p.Commands) > 0 {
		condition = " -n 'not __fish_seen_subcommand_from " + strings.Join(p.names(), " ") + "'"
	}
	b.WriteString(p.fishFlags(condition, flags(p.Main.Flags)))
	return b.String()
}

func (p Program) fishFlags(condition string, list []*pflag.Flag) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "complete -c %s%s -l %s", p.Name, condition, f.Name)
		if f.Shorthand != "" {
			fmt.Fprintf(&b, " -s %s", f.Shorthand)
		}
		switch {
		case len(p.Values[f.Name]) > 0:
			fmt.Fprintf(&b, " -x -a %s", fishQuote(strings.Join(p.Values[f.Name], " ")))
		case p.placeholder(f) == "PATH":
			b.WriteString(" -r -F")
		case p.placeholder(f) != "":
			b.WriteString(" -x")
		}
		fmt.Fprintf(&b, " -d %s\n", fishQuote(f.Usage))
	}
	return b.String()
}

// all are the flags of all commands, each name once.
func (p Program) all() []*pflag.Flag {
	var list []*pflag.Flag
	seen := map[string]bool{}
	for _, c := range append([]Command{p.Main}, p.Commands...) {
		for _, f := range flags(c.Flags) {
			if !seen[f.Name] {
				seen[f.Name] = true
				list = append(list, f)
			}
		}
	}
	return list
}

func (p Program) names() []string {
	var names []string
	for _, c := range p.Commands {
		names = append(names, c.Name)
	}
	return names
}

// typed are the forms in which a flag is typed.
func typed(f *pflag.Flag) []string {
	names := []string{"--" + f.Name}
	if f.Shorthand != "" {
		names = append(names, "-"+f.Shorthand)
	}
	return names
}

func long(list []*pflag.Flag) []string {
	var names []string
	for _, f := range list {
		names = append(names, "--"+f.Name)
	}
	return names
}

// function is a program's name as a shell function may have it.
func function(name string) string { return strings.ReplaceAll(name, "-", "_") }

// quote is a word in single quotes for bash and zsh.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// fishQuote is the same for fish, which knows two escapes there.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
