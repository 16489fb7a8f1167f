package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Socket is a listener that allows only what it names.
type Socket struct {
	// Address is unix://PATH.
	Address string
	// Allow are operationIds and tags of the documents, Labels NAME=VALUE.
	Allow, Labels []string
	// Group owns the socket; empty for that of --group.
	Group string

	text string
}

// Sockets are the values of --socket.
type Sockets []Socket

// parseSocket reads unix://PATH,allow=A+B,label=NAME=VALUE,group=GROUP. All
// fields but the group may be repeated.
func parseSocket(text string) (Socket, error) {
	fields := strings.Split(text, ",")
	s := Socket{Address: fields[0], text: text}
	path, ok := strings.CutPrefix(s.Address, "unix://")
	if !ok || !filepath.IsAbs(path) {
		return s, fmt.Errorf("%q: begin with unix:///PATH", text)
	}
	for _, field := range fields[1:] {
		key, value, ok := strings.Cut(field, "=")
		if !ok || value == "" {
			return s, fmt.Errorf("%q: %q is not allow=…, label=NAME=VALUE or group=…", text, field)
		}
		switch key {
		case "allow":
			for word := range strings.SplitSeq(value, "+") {
				if word == "" {
					return s, fmt.Errorf("%q: an empty name in %q", text, field)
				}
				s.Allow = append(s.Allow, word)
			}
		case "label":
			if name, _, ok := strings.Cut(value, "="); !ok || name == "" {
				return s, fmt.Errorf("%q: use label=NAME=VALUE", text)
			}
			s.Labels = append(s.Labels, value)
		case "group":
			if s.Group != "" {
				return s, fmt.Errorf("%q: two groups", text)
			}
			s.Group = value
		default:
			return s, fmt.Errorf("%q: unknown field %s", text, key)
		}
	}
	if len(s.Allow) == 0 {
		return s, fmt.Errorf("%q allows nothing: add allow=…", text)
	}
	return s, nil
}

// String gives the sockets in the form of Set.
func (s *Sockets) String() string {
	var items []string
	for _, socket := range *s {
		items = append(items, socket.text)
	}
	return strings.Join(items, " ")
}

// Set adds a socket.
func (s *Sockets) Set(text string) error {
	socket, err := parseSocket(text)
	if err != nil {
		return err
	}
	for _, other := range *s {
		if other.Address == socket.Address {
			return errors.New(socket.Address + " is given twice; repeat allow= instead")
		}
	}
	*s = append(*s, socket)
	return nil
}

// Type is shown in the help.
func (s *Sockets) Type() string { return "stringArray" }

// UnmarshalJSON reads a list of the flag's values.
func (s *Sockets) UnmarshalJSON(data []byte) error {
	var texts []string
	if err := json.Unmarshal(data, &texts); err != nil {
		return fmt.Errorf("sockets: a list of texts in the form of --socket is wanted: %w", err)
	}
	*s = nil
	for _, text := range texts {
		if err := s.Set(text); err != nil {
			return fmt.Errorf("sockets: %w", err)
		}
	}
	return nil
}

// MarshalJSON gives what UnmarshalJSON reads.
func (s Sockets) MarshalJSON() ([]byte, error) {
	texts := make([]string, 0, len(s))
	for _, socket := range s {
		texts = append(texts, socket.text)
	}
	return json.Marshal(texts)
}
