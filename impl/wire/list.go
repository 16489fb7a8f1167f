// Package wire holds the values of the Remote API that have more than one JSON
// form: clients may write a string where the documents show a list, a number
// where they show a name. Each type reads all forms and writes the documented
// one. The package imports nothing of the repository.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// CommandLine is a program and its arguments (Cmd, Entrypoint, v1.18 reference,
// "Create a container"). It reads a list of strings, one string, which becomes
// the only item, and null. It writes a list, or null when it is nil: a container
// without a command differs from one with an empty list.
type CommandLine []string

// UnmarshalJSON reads a list, a string or null.
func (c *CommandLine) UnmarshalJSON(b []byte) error {
	list, err := strings(b)
	if err != nil {
		return fmt.Errorf("a command is a string or a list of strings: %w", err)
	}
	*c = list
	return nil
}

// StringSlice is a list of strings that may also come as one string (CapAdd,
// CapDrop, PortSpecs). Its forms are those of [CommandLine].
type StringSlice []string

// UnmarshalJSON reads a list, a string or null.
func (s *StringSlice) UnmarshalJSON(b []byte) error {
	list, err := strings(b)
	if err != nil {
		return fmt.Errorf("expected a string or a list of strings: %w", err)
	}
	*s = list
	return nil
}

// strings reads the forms that a list of strings may have; null is nil.
func strings(b []byte) ([]string, error) {
	if len(b) > 0 && b[0] == '"' {
		var one string
		if err := json.Unmarshal(b, &one); err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	var list []string
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	return list, nil
}

// isNull tells whether b is JSON's null.
func isNull(b []byte) bool { return bytes.Equal(b, []byte("null")) }
