package wire

import (
	"encoding/json"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzForms reads the properties that clients write in several forms. What is
// read is written in one form and read from that as the same.
func FuzzForms(f *testing.F) {
	for _, text := range []string{
		`{"E":{},"L":{"a":"b"},"S":"TERM","D":1,"C":"a b","P":["x"]}`, `{"L":[{"Key":"a","Value":"b"}],"S":15,"D":"12","C":["a",null],"P":null}`,
		`{"E":[],"D":1.5e3,"C":{},"S":-1}`, `{"D":18446744073709551615,"S":"","C":[[]]}`,
	} {
		f.Add([]byte(text))
	}
	type forms struct {
		E map[string]EmptyObject
		L LxcConf
		S Signal
		D DeviceRate
		C CommandLine
		P StringSlice
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		var m forms
		if json.Unmarshal(text, &m) != nil {
			return
		}
		once, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("%s cannot be written: %v", text, err)
		}
		var read forms
		if err := json.Unmarshal(once, &read); err != nil {
			t.Fatalf("%s of %s: %v", once, text, err)
		}
		if twice, err := json.Marshal(read); err != nil || string(twice) != string(once) {
			t.Errorf("%s became %s: %v", once, twice, err)
		}
	})
}
