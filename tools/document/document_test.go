package document

import (
	"strings"
	"testing"
)

func TestJSONKeepsOrderTypesAndDigits(t *testing.T) {
	root, err := Parse([]byte(`
z: 1
a: "1"
when: 2015-01-08
big: 18446744073709551615
real: 1.50
hex: 0x10
no: null
yes: true
'200': text
html: <a> & b
list: [x, 2]
`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := JSON(root)
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "z": 1,
 "a": "1",
 "when": "2015-01-08",
 "big": 18446744073709551615,
 "real": 1.50,
 "hex": 16,
 "no": null,
 "yes": true,
 "200": "text",
 "html": "<a> & b",
 "list": [
  "x",
  2
 ]
}
`
	if string(out) != want {
		t.Errorf("got %s", out)
	}
}

func TestExpandCutsAliasesLoose(t *testing.T) {
	root, err := Parse([]byte("base: &b {x: 1}\nuse: *b\njoined:\n  <<: *b\n  y: 2\n"))
	if err != nil {
		t.Fatal(err)
	}
	Set(Get(root, "use"), "x", String("changed"))
	if got := Text(root, "base", "x"); got != "1" {
		t.Errorf("base.x is %q after a change of use.x", got)
	}
	if Text(root, "joined", "x") != "1" || Text(root, "joined", "y") != "2" {
		t.Error("a merge key is lost")
	}
}

func TestParseRefuses(t *testing.T) {
	for name, source := range map[string]string{
		"twice":         "a: {b: 1, b: 2}\n",
		"not a mapping": "- a\n",
	} {
		if _, err := Parse([]byte(source)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestDeleteKeysSparesNames(t *testing.T) {
	root, err := Parse([]byte("x-a: 1\nproperties:\n  x-a: {x-a: 1, type: string}\n"))
	if err != nil {
		t.Fatal(err)
	}
	DeleteKeys(root, func(key string) bool { return key == "x-a" })
	if Get(root, "x-a") != nil || Get(root, "properties", "x-a") == nil || Get(root, "properties", "x-a", "x-a") != nil {
		out, _ := JSON(root)
		t.Errorf("left: %s", out)
	}
}
