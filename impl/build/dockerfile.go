package build

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/seed-50ced230/berth/impl/fault"
)

// dockerfile is a Dockerfile that has been understood from its first line to its last.
type dockerfile struct {
	// args are the ARG instructions before the first FROM.
	args  []instructions.ArgCommand
	steps []step
	// escape is the character that takes the meaning from the next one.
	escape rune
}

// step is one instruction.
type step struct {
	line int
	node *parser.Node
	// command is the instruction as its own type: a *instructions.Stage for FROM.
	command any
}

// parseDockerfile reads a Dockerfile and adds the labels of the request as its
// last instruction. What is wrong with it, or not served, is told with its line.
func parseDockerfile(data []byte, labels map[string]string) (*dockerfile, error) {
	parsed, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, lineFault(0, err)
	}
	d := &dockerfile{escape: parsed.EscapeToken}
	for _, node := range parsed.AST.Children {
		st, err := parseStep(node)
		if err != nil {
			return nil, err
		}
		_, from := st.command.(*instructions.Stage)
		if arg, ok := st.command.(*instructions.ArgCommand); ok && len(d.steps) == 0 {
			d.args = append(d.args, *arg)
			continue
		}
		if len(d.steps) == 0 && !from {
			return nil, fault.Invalid("Dockerfile line %d: Please provide a source image with `from` prior to %s", st.line, strings.ToLower(node.Value))
		}
		d.steps = append(d.steps, st)
	}
	if len(d.steps) == 0 {
		return nil, fault.Invalid("No image was generated. Is your Dockerfile empty?")
	}
	if len(labels) > 0 {
		d.steps = append(d.steps, labelStep(labels))
	}
	return d, nil
}

// labelStep is the LABEL instruction of a request's labels, in the order of
// their names, so that it is the same instruction the next time.
func labelStep(labels map[string]string) step {
	var keys []string
	for k := range labels {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	node := &parser.Node{Value: "label"}
	c := &instructions.LabelCommand{}
	last := node
	for _, k := range keys {
		c.Labels = append(c.Labels, instructions.KeyValuePair{Key: k, Value: labels[k]})
		last.Next = &parser.Node{Value: k, Next: &parser.Node{Value: labels[k], Next: &parser.Node{Value: "="}}}
		last = last.Next.Next.Next
	}
	return step{node: node, command: &literalLabels{c}}
}

// literalLabels are labels in which nothing is a variable.
type literalLabels struct{ *instructions.LabelCommand }

func parseStep(node *parser.Node) (step, error) {
	st := step{line: node.StartLine, node: node}
	if len(node.Heredocs) > 0 {
		return st, fault.Invalid("Dockerfile line %d: %s with a here-document is not served", st.line, strings.ToUpper(node.Value))
	}
	var err error
	if st.command, err = instructions.ParseInstruction(node); err != nil {
		return st, lineFault(st.line, err)
	}
	if flag := unservedFlag(st.command); flag != "" {
		return st, fault.Invalid("Dockerfile line %d: %s with the flag --%s is not served", st.line, strings.ToUpper(node.Value), flag)
	}
	return st, nil
}

// unservedFlag names a flag that the parser knows and this builder does not.
func unservedFlag(command any) string {
	switch c := command.(type) {
	case *instructions.RunCommand:
		if len(c.FlagsUsed) > 0 {
			return slices.Min(c.FlagsUsed)
		}
	case *instructions.CopyCommand:
		switch {
		case c.Link:
			return "link"
		case c.Parents:
			return "parents"
		case len(c.ExcludePatterns) > 0:
			return "exclude"
		}
	case *instructions.AddCommand:
		switch {
		case c.Link:
			return "link"
		case len(c.ExcludePatterns) > 0:
			return "exclude"
		case c.KeepGitDir != nil:
			return "keep-git-dir"
		case c.Checksum != "":
			return "checksum"
		case c.Unpack != nil:
			return "unpack"
		}
	case *instructions.Stage:
		if c.Platform != "" && !slices.Contains([]string{"linux", "linux/" + runtime.GOARCH}, c.Platform) {
			return "platform=" + c.Platform
		}
	}
	return ""
}

// lineFault is the parser's error in the client's words. line is used if the
// error does not know its own; 0 for none.
func lineFault(line int, err error) error {
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 && line == 0 {
		line = at.Locations[0][0].Start.Line
	}
	var unknown *instructions.UnknownInstructionError
	if errors.As(err, &unknown) {
		return fault.Invalid("Dockerfile line %d: Unknown instruction: %s", unknown.Line, strings.ToUpper(unknown.Instruction))
	}
	if line == 0 {
		return fault.Invalid("Dockerfile: %w", err)
	}
	return fault.Invalid("Dockerfile line %d: %w", line, err)
}

// title is the instruction as the output shows it: its name in capitals, its
// flags and its words.
func (st *step) title(expand func(string) (string, error)) (string, error) {
	node := st.node
	words := []string{strings.ToUpper(node.Value)}
	name := words[0]
	if name == "ONBUILD" && node.Next != nil && len(node.Next.Children) > 0 {
		node = node.Next.Children[0]
		words = append(words, strings.ToUpper(node.Value))
	}
	words = append(words, node.Flags...)
	_, literal := st.command.(*literalLabels)
	for i, n := 0, node.Next; n != nil; i, n = i+1, n.Next {
		if (name == "ENV" || name == "LABEL") && i%3 == 2 {
			continue // the character between key and value
		}
		word := n.Value
		if expanded[name] && !literal {
			var err error
			if word, err = expand(word); err != nil {
				return "", st.fail(fault.Invalid("%w", err))
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " "), nil
}

// expanded are the instructions in whose words variables are replaced
// (Dockerfile reference, "Environment replacement").
var expanded = map[string]bool{
	"ADD": true, "COPY": true, "ENV": true, "EXPOSE": true, "LABEL": true, "USER": true, "WORKDIR": true, "VOLUME": true, "STOPSIGNAL": true, "ARG": true,
}

// fail says in which line an error arose. Its class stays.
func (st *step) fail(err error) error {
	if st.line == 0 {
		return err
	}
	//lint:ignore ST1005 it begins with a proper name
	return fmt.Errorf("Dockerfile line %d: %w", st.line, err)
}
