package changes

import (
	"slices"
	"testing"
)

func TestConditions(t *testing.T) {
	for _, c := range []struct {
		conditions, without string
		values              []string
	}{
		{``, ``, nil},
		{`nope`, `nope`, nil},
		{`{"id":["a"]}`, `{"id":["a"]}`, nil},
		{`{"name":["b","a"],"id":["a"]}`, `{"id":["a"]}`, []string{"b", "a"}},
		{`{"name":{"b":true,"a":true}}`, `{}`, []string{"a", "b"}},
		{`{"name":7}`, `{}`, nil},
	} {
		if got := withoutCondition(c.conditions, "name"); got != c.without {
			t.Errorf("%s without name is %s, want %s", c.conditions, got, c.without)
		}
		if got := conditionValues(c.conditions, "name"); !slices.Equal(got, c.values) {
			t.Errorf("values of name in %s are %v, want %v", c.conditions, got, c.values)
		}
	}
}
