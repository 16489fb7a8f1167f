package manual

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// example has what is hard to write: quotes, brackets, colons, a leading dot.
func example() Program {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	f.StringArrayP("host", "H", nil, "listen on unix://PATH [or 'fd://'] (repeat)")
	f.String("log-level", "info", "severity: $HOME, `uname`, \"debug\"")
	f.String("data-root", "/var", ".directory's \\ name")
	f.Int("size", 7, "bytes")
	f.BoolP("debug", "D", false, "debug|trace <all>")
	f.String("graph", "", "old")
	_ = f.MarkHidden("graph")
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.Bool("repair", false, "repair it")
	return Program{
		Name: "a-program", Section: 8, Summary: "a program that is not",
		Main:   Command{Usage: []string{"a-program [flags]"}, Flags: f, Notes: []string{"Note."}, Exit: []Item{{"0", "well"}}},
		Groups: []Group{{"Listening", []string{"host"}}},
		Commands: []Command{
			{Name: "check", Summary: "look at what's there: all", Usage: []string{"a-program check"}, About: []string{"'About' it."}, Flags: own},
			{Name: "manual", Summary: "print", Arguments: []string{"man", "bash"}},
		},
		Values: map[string][]string{"log-level": {"debug", "info"}}, Paths: []string{"data-root"},
		Keys: map[string]string{"host": "hosts", "size": "size"}, SeeAlso: []string{"man(1)"},
	}
}

// run gives what a program says, and fails if it complains.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TERM=dumb", "LC_ALL=C.UTF-8"}
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", name, err, out.String(), complaints.String())
	}
	return out.String()
}

func written(t *testing.T, format, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Write(f, example(), format); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestManPage(t *testing.T) {
	page := written(t, "man", "a-program.8")
	text := run(t, "groff", "-man", "-ww", "-Tascii", "-P-cbou", page)
	flat := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{
		"A-PROGRAM(8)", "a-program - a program that is not", "-H, --host VALUE", "Listen on unix://PATH [or 'fd://'] (repeat).",
		".directory's \\ name. Default: /var.", "--size NUMBER", "'About' it.", "man(1)", "0 well", "Severity: $HOME, `uname`, \"debug\".",
	} {
		if !strings.Contains(flat, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "graph") {
		t.Error("the page shows a hidden flag")
	}
}

func TestMarkdown(t *testing.T) {
	raw, err := os.ReadFile(written(t, "markdown", "page.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n| flag | key in the file | meaning | default |\n|---|---|---|---|\n| `-H`, `--host` | `hosts` | Listen on", "| `-D`, `--debug` |  | Debug\\|trace &lt;all&gt; |  |\n", "`7` |\n",
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the page lacks %q:\n%s", want, raw)
		}
	}
}

func TestFormats(t *testing.T) {
	if err := Write(os.Stdout, example(), "html"); err == nil {
		t.Error("an unknown format is no error")
	}
}

// complete asks a shell what it offers after a line.
var completers = map[string]func(t *testing.T, line string) []string{
	"bash": func(t *testing.T, line string) []string {
		// Readline breaks words at "=", too.
		words := strings.Fields(strings.ReplaceAll(line, "=", " = "))
		if strings.HasSuffix(line, " ") {
			words = append(words, "")
		}
		script := `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _a_program 2>&1; printf '%s\n' "${COMPREPLY[@]}"`
		return strings.Fields(run(t, "bash", append([]string{"--norc", "-c", script, "bash", written(t, "bash", "completion")}, words...)...))
	},
	"fish": func(t *testing.T, line string) []string {
		out := run(t, "fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, written(t, "fish", "completion"), line)
		var offered []string
		for l := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
			if _, value, found := strings.Cut(word, "="); found {
				word = value // fish offers the whole word
			}
			offered = append(offered, word)
		}
		return offered
	},
	"zsh": zsh,
}

// zsh completes with its line editor only, which needs a terminal: its module
// zpty has one.
func zsh(t *testing.T, line string) []string {
	const script = `
zmodload zsh/zpty
zpty shell zsh -f -i
{
	zpty -w shell "PS1=; stty -echo; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D
		zstyle ':completion:*' verbose no; bindkey '^I' list-choices; LISTMAX=1000
		zle-line-init() { print -n READ''Y }; zle -N zle-line-init"
	zpty -r -m shell chunk '*READY*'
	zpty -n -w shell "$2"$'\t\025'
	zpty -w shell "print DON''E"
	zpty -r -m shell chunk '*DONE*'
	print -r -- "$chunk"
} always {
	zpty -d shell
}
`
	out := run(t, "zsh", "-f", "-c", script, "zsh", filepath.Dir(written(t, "zsh", "_a-program")), line)
	_, list, _ := strings.Cut(strings.ReplaceAll(out, "\r", "\n"), line+"\n")
	list, _, _ = strings.Cut(list, line) // the prompt again
	list, _, _ = strings.Cut(list, "print DON")
	return strings.Fields(list)
}

func TestCompletions(t *testing.T) {
	for shell, complete := range completers {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			for line, want := range map[string][]string{
				"a-program --lo":                 {"--log-level"},
				"a-program ch":                   {"check"},
				"a-program --log-level=d":        {"debug"},
				"a-program --log-level in":       {"info"},
				"a-program check --re":           {"--repair"},
				"a-program check --ho":           {},
				"a-program manual b":             {"bash"},
				"a-program --debug --si":         {"--size"},
				"a-program --gr":                 {},
				"a-program --data-root /usr/sha": {"/usr/share"},
			} {
				got := complete(t, line)
				for i := range got {
					got[i] = strings.TrimSuffix(got[i], "/")
				}
				slices.Sort(got)
				got = slices.Compact(got)
				if shell == "zsh" && strings.Contains(line, "/usr/") {
					want = []string{"share"} // it shows the last step
				}
				if !slices.Equal(got, want) && len(got)+len(want) > 0 {
					t.Errorf("%q: offered %q, wanted %q", line, got, want)
				}
			}
		})
	}
}
