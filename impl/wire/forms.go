package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// EmptyObject is an object whose presence is all it says (the values of
// Volumes and ExposedPorts). It reads any object and null and writes {}.
type EmptyObject struct{}

// UnmarshalJSON accepts an object or null.
func (*EmptyObject) UnmarshalJSON(b []byte) error {
	var any map[string]json.RawMessage
	if err := json.Unmarshal(b, &any); err != nil {
		return fmt.Errorf("expected an object: %w", err)
	}
	return nil
}

// LxcConf are options of the LXC execution driver (HostConfig.LxcConf, v1.18 to
// v1.21). It reads a list of Key/Value pairs, the object that older clients
// send (its keys sorted) and null, and writes a list, never null.
type LxcConf []LxcOption

// LxcOption is one option of the LXC execution driver.
type LxcOption struct {
	Key   string
	Value string
}

// UnmarshalJSON reads a list of pairs, an object or null.
func (l *LxcConf) UnmarshalJSON(b []byte) error {
	if isNull(b) {
		*l = nil
		return nil
	}
	if len(b) > 0 && b[0] == '{' {
		var object map[string]string
		if err := json.Unmarshal(b, &object); err != nil {
			return fmt.Errorf("an option of LxcConf is a string: %w", err)
		}
		pairs := make([]LxcOption, 0, len(object))
		for key, value := range object {
			pairs = append(pairs, LxcOption{Key: key, Value: value})
		}
		slices.SortFunc(pairs, func(a, b LxcOption) int {
			if a.Key < b.Key {
				return -1
			}
			return 1 // keys of an object differ
		})
		*l = pairs
		return nil
	}
	var pairs []LxcOption
	if err := json.Unmarshal(b, &pairs); err != nil {
		return fmt.Errorf("LxcConf is a list of Key/Value pairs or an object: %w", err)
	}
	*l = pairs
	return nil
}

// MarshalJSON writes a list.
func (l LxcConf) MarshalJSON() ([]byte, error) {
	if len(l) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal([]LxcOption(l))
}

// Signal is a signal's name, with or without SIG, or its number in decimal
// (Config.StopSignal, v1.21). It reads a string, a number and null.
type Signal string

// UnmarshalJSON reads a string, a number or null.
func (s *Signal) UnmarshalJSON(b []byte) error {
	if isNull(b) {
		*s = ""
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var name string
		if err := json.Unmarshal(b, &name); err != nil {
			return err
		}
		*s = Signal(name)
		return nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return fmt.Errorf("a signal is a name or a number: %w", err)
	}
	*s = Signal(strconv.Itoa(n))
	return nil
}

// DeviceRate is a limit of a block device in bytes or operations per second
// (HostConfig.BlkioDeviceReadBps and its like, v1.22). It reads a number, a
// string that holds one in decimal, and null, which is 0. It writes a number.
type DeviceRate uint64

// UnmarshalJSON reads a number, a string or null.
func (d *DeviceRate) UnmarshalJSON(b []byte) error {
	if isNull(b) {
		*d = 0
		return nil
	}
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("a rate is a number that is not negative: %w", err)
	}
	*d = DeviceRate(n)
	return nil
}
