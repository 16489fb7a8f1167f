package wire

import (
	"encoding/json"
	"testing"
)

func TestForms(t *testing.T) {
	type all struct {
		Cmd   CommandLine
		Ports StringSlice
		Empty EmptyObject
		Lxc   LxcConf
		Stop  Signal
		Rate  DeviceRate
	}
	for _, test := range []struct{ name, in, want string }{
		{"absent", `{}`, `{"Cmd":null,"Ports":null,"Empty":{},"Lxc":[],"Stop":"","Rate":0}`},
		{"null", `{"Cmd":null,"Ports":null,"Empty":null,"Lxc":null,"Stop":null,"Rate":null}`,
			`{"Cmd":null,"Ports":null,"Empty":{},"Lxc":[],"Stop":"","Rate":0}`},
		{"lists", `{"Cmd":["a","b"],"Ports":[],"Empty":{},"Lxc":[{"Key":"k","Value":"v"}],"Stop":"SIGTERM","Rate":7}`,
			`{"Cmd":["a","b"],"Ports":[],"Empty":{},"Lxc":[{"Key":"k","Value":"v"}],"Stop":"SIGTERM","Rate":7}`},
		{"other forms", `{"Cmd":"a b","Ports":"","Empty":{"x":1},"Lxc":{"z":"1","a":"2"},"Stop":15,"Rate":"1024"}`,
			`{"Cmd":["a b"],"Ports":[""],"Empty":{},"Lxc":[{"Key":"a","Value":"2"},{"Key":"z","Value":"1"}],"Stop":"15","Rate":1024}`},
		{"empty forms", `{"Cmd":"","Lxc":{},"Stop":"15","Rate":0}`,
			`{"Cmd":[""],"Ports":null,"Empty":{},"Lxc":[],"Stop":"15","Rate":0}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var v all
			if err := json.Unmarshal([]byte(test.in), &v); err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("%s\nread and written: %s\nwanted:           %s", test.in, got, test.want)
			}
		})
	}
}

func TestWrongForms(t *testing.T) {
	for _, test := range []struct {
		in string
		v  any
	}{
		{`7`, new(CommandLine)}, {`{"a":1}`, new(CommandLine)}, {`[1]`, new(StringSlice)}, {`"`, new(StringSlice)},
		{`[]`, new(EmptyObject)}, {`"x"`, new(EmptyObject)},
		{`"x"`, new(LxcConf)}, {`{"k":1}`, new(LxcConf)}, {`[1]`, new(LxcConf)},
		{`1.5`, new(Signal)}, {`[]`, new(Signal)}, {`true`, new(Signal)},
		{`-1`, new(DeviceRate)}, {`"x"`, new(DeviceRate)}, {`1.5`, new(DeviceRate)}, {`{}`, new(DeviceRate)},
	} {
		if err := json.Unmarshal([]byte(test.in), test.v); err == nil {
			t.Errorf("%s as %T was accepted as %v", test.in, test.v, test.v)
		}
	}
}
