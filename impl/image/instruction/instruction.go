// Package instruction reads the Dockerfile instructions that change an image's
// configuration without running anything: those that commit and import take as
// their changes parameter.
package instruction

import (
	"encoding/json"
	"path"
	"strconv"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Instruction is one parsed line. Which fields are set depends on Name.
type Instruction struct {
	// Name is the instruction in upper case.
	Name string
	// Text is what follows the name.
	Text string
	// Words are the operands of USER, VOLUME, WORKDIR and STOPSIGNAL, and the
	// list of a CMD or ENTRYPOINT in JSON form.
	Words []string
	// Shell says that CMD or ENTRYPOINT has Text for the shell.
	Shell bool
	// Pairs are those of ENV and LABEL.
	Pairs []Pair
	// Ports are those of EXPOSE, as "80/tcp", ranges spelled out.
	Ports []string
}

// Pair is a key with its value.
type Pair struct{ Key, Value string }

// Command is the command line of CMD and ENTRYPOINT; a shell's has /bin/sh -c in front.
func (i *Instruction) Command() []string {
	if i.Shell {
		return []string{"/bin/sh", "-c", i.Text}
	}
	return i.Words
}

// Dir is the folder after WORKDIR, from the one before.
func (i *Instruction) Dir(before string) string {
	if dir := i.Words[0]; path.IsAbs(dir) {
		return path.Clean(dir)
	}
	return path.Join("/", before, i.Words[0])
}

// Parse reads one or more lines. A backslash continues a line, # starts a
// comment at its beginning. Errors are of class invalid argument.
func Parse(text string) ([]Instruction, error) {
	var out []Instruction
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", "")
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		i, err := parseLine(line)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

func parseLine(line string) (Instruction, error) {
	name, rest := line, ""
	if at := strings.IndexAny(line, " \t"); at >= 0 {
		name, rest = line[:at], strings.TrimSpace(line[at:])
	}
	i := Instruction{Name: strings.ToUpper(name), Text: rest}
	if rest == "" && i.Name != "CMD" && i.Name != "ENTRYPOINT" {
		return i, fault.Invalid("%s requires at least one argument", i.Name)
	}
	var err error
	switch i.Name {
	case "CMD", "ENTRYPOINT":
		if list, ok := jsonList(rest); ok {
			i.Words = list
		} else if rest != "" {
			i.Shell = true
		}
	case "ENV", "LABEL":
		i.Pairs, err = pairs(i.Name, rest)
	case "EXPOSE":
		i.Ports, err = ports(rest)
	case "VOLUME":
		if list, ok := jsonList(rest); ok {
			i.Words = list
		} else if i.Words, err = words(rest); err != nil {
			return i, err
		}
		for _, w := range i.Words {
			if strings.TrimSpace(w) == "" {
				return i, fault.Invalid("Volume specified can not be an empty string")
			}
		}
	case "USER", "STOPSIGNAL":
		if i.Words, err = words(rest); err == nil && len(i.Words) != 1 {
			err = fault.Invalid("%s requires exactly one argument", i.Name)
		}
	case "WORKDIR":
		var unquoted []string
		if unquoted, err = words(rest); err == nil {
			i.Words = []string{strings.Join(unquoted, " ")}
		}
	case "ONBUILD":
		err = trigger(rest)
	default:
		err = fault.Invalid("%s is not a valid change command", i.Name)
	}
	return i, err
}

// trigger checks what ONBUILD stores for later.
func trigger(text string) error {
	name, _, _ := strings.Cut(text, " ")
	switch strings.ToUpper(name) {
	case "ONBUILD":
		return fault.Invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
	case "MAINTAINER", "FROM":
		return fault.Invalid("%s isn't allowed as an ONBUILD trigger", strings.ToUpper(name))
	}
	return nil
}

func jsonList(text string) ([]string, bool) {
	if !strings.HasPrefix(text, "[") {
		return nil, false
	}
	var list []string
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, false
	}
	return list, true
}

// pairs reads "k=v k2='v 2'", or the old form "k v with spaces".
func pairs(name, text string) ([]Pair, error) {
	list, err := words(text)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 && !strings.Contains(list[0], "=") {
		at := strings.IndexAny(text, " \t")
		if at < 0 {
			return nil, fault.Invalid("%s must have two arguments", name)
		}
		return []Pair{{text[:at], strings.TrimSpace(text[at:])}}, nil
	}
	var out []Pair
	for _, w := range list {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, fault.Invalid("Syntax error - can't find = in %q. Must be of the form: name=value", w)
		}
		if key == "" {
			return nil, fault.Invalid("%s names can not be blank", name)
		}
		out = append(out, Pair{key, value})
	}
	return out, nil
}

// words splits at blanks; quotes group and a backslash takes the next
// character as it is.
func words(text string) ([]string, error) {
	var out []string
	var word strings.Builder
	in, quote := false, rune(0)
	escaped := false
	for _, c := range text {
		switch {
		case escaped:
			if quote == '"' && c != '"' && c != '\\' && c != '$' {
				word.WriteByte('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, in = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteRune(c)
			}
		case c == '"' || c == '\'':
			quote, in = c, true
		case c == ' ' || c == '\t':
			if in {
				out = append(out, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, fault.Invalid("unexpected end of statement while looking for matching %c", quote)
	}
	if escaped {
		word.WriteByte('\\')
	}
	if in {
		out = append(out, word.String())
	}
	return out, nil
}

// ports reads "80 443/tcp 5000-5002/udp".
func ports(text string) ([]string, error) {
	list, err := words(text)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, w := range list {
		span, proto, ok := strings.Cut(w, "/")
		if !ok {
			proto = "tcp"
		}
		proto = strings.ToLower(proto)
		if proto != "tcp" && proto != "udp" {
			return nil, fault.Invalid("Invalid proto: %s", proto)
		}
		// host:container is read for its second half, as in docker run -p.
		if at := strings.LastIndexByte(span, ':'); at >= 0 {
			span = span[at+1:]
		}
		first, last, isRange := strings.Cut(span, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || from == 0 || to < from {
			return nil, fault.Invalid("Invalid containerPort: %s", span)
		}
		for p := from; p <= to; p++ {
			out = append(out, strconv.FormatUint(p, 10)+"/"+proto)
		}
	}
	return out, nil
}
