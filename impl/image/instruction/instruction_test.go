package instruction

import (
	"reflect"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/testbed/effort"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Instruction{
		`CMD ["a", "b c"]`:           {Name: "CMD", Text: `["a", "b c"]`, Words: []string{"a", "b c"}},
		`cmd a  b`:                   {Name: "CMD", Text: "a  b", Shell: true},
		`CMD`:                        {Name: "CMD"},
		`CMD []`:                     {Name: "CMD", Text: "[]", Words: []string{}},
		`CMD ["broken`:               {Name: "CMD", Text: `["broken`, Shell: true},
		`ENTRYPOINT ["x"]`:           {Name: "ENTRYPOINT", Text: `["x"]`, Words: []string{"x"}},
		`ENV a=b c="d e" f=g\ h`:     {Name: "ENV", Text: `a=b c="d e" f=g\ h`, Pairs: []Pair{{"a", "b"}, {"c", "d e"}, {"f", "g h"}}},
		`ENV a b c`:                  {Name: "ENV", Text: "a b c", Pairs: []Pair{{"a", "b c"}}},
		`ENV a='it is' b=`:           {Name: "ENV", Text: `a='it is' b=`, Pairs: []Pair{{"a", "it is"}, {"b", ""}}},
		`LABEL "k 1"="v 1"`:          {Name: "LABEL", Text: `"k 1"="v 1"`, Pairs: []Pair{{"k 1", "v 1"}}},
		`EXPOSE 80 53/udp 7000-7002`: {Name: "EXPOSE", Text: "80 53/udp 7000-7002", Ports: []string{"80/tcp", "53/udp", "7000/tcp", "7001/tcp", "7002/tcp"}},
		`VOLUME /a /b`:               {Name: "VOLUME", Text: "/a /b", Words: []string{"/a", "/b"}},
		`VOLUME ["/a b"]`:            {Name: "VOLUME", Text: `["/a b"]`, Words: []string{"/a b"}},
		`USER me`:                    {Name: "USER", Text: "me", Words: []string{"me"}},
		"WORKDIR /a\\\n/b":           {Name: "WORKDIR", Text: "/a/b", Words: []string{"/a/b"}},
		`ONBUILD RUN x`:              {Name: "ONBUILD", Text: "RUN x"},
		`STOPSIGNAL 9`:               {Name: "STOPSIGNAL", Text: "9", Words: []string{"9"}},
	} {
		got, err := Parse(text)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	if got, err := Parse("# a comment\n\nUSER a\r\nUSER b"); err != nil || len(got) != 2 {
		t.Errorf("several lines: %+v %v", got, err)
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"RUN x":             "RUN is not a valid change command",
		"FROM x":            "FROM is not a valid change command",
		"ENV":               "ENV requires at least one argument",
		"ENV a":             "ENV must have two arguments",
		"ENV a=b c":         "can't find = in \"c\"",
		"ENV =b":            "ENV names can not be blank",
		`ENV a="b`:          "unexpected end of statement",
		"EXPOSE x":          "Invalid containerPort: x",
		"EXPOSE 80/icmp":    "Invalid proto: icmp",
		"EXPOSE 9-1":        "Invalid containerPort: 9-1",
		"EXPOSE 70000":      "Invalid containerPort: 70000",
		`VOLUME [""]`:       "can not be an empty string",
		"USER a b":          "USER requires exactly one argument",
		"ONBUILD ONBUILD x": "Chaining ONBUILD",
		"ONBUILD FROM x":    "FROM isn't allowed as an ONBUILD trigger",
	} {
		if _, err := Parse(text); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`CMD ["a"]`, "ENV a=b", "EXPOSE 1-3/udp", `LABEL a="\"b"`, "WORKDIR x", "ONBUILD RUN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		defer effort.Bound()()
		list, err := Parse(s)
		if err != nil && !errdefs.IsInvalidArgument(err) {
			t.Errorf("class of %v", err)
		}
		for i := range list {
			list[i].Command()
			if list[i].Name == "WORKDIR" && list[i].Dir("/x")[0] != '/' {
				t.Error("relative folder")
			}
		}
	})
}
