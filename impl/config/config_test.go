package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func file(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "daemon.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlagsAndFile(t *testing.T) {
	path := file(t, `{"hosts": ["fd://"], "labels": ["a=b"], "log-opts": {"max-size": "1m"}, "icc": false,
		"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 10, "Hard": 20}}}`)
	c, err := Parse([]string{"--config-file", path, "--data-root", "rel", "-D", "--exec-opt", "native.cgroupdriver=systemd"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	driver, _ := c.CgroupDriver()
	if c.Hosts[0] != "fd://" || c.Labels[0] != "a=b" || c.LogOptions["max-size"] != "1m" || c.ICC ||
		!filepath.IsAbs(c.DataRoot) || c.LogLevel != "debug" || driver != "systemd" || c.Ulimits["nofile"].Hard != 20 ||
		!c.Masquerade || c.MTU != 1500 {
		t.Fatalf("%+v", c)
	}
}

func TestDefaults(t *testing.T) {
	c, err := Parse([]string{"--config-file", file(t, "{}")}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if hosts := c.Listen(false); len(hosts) != 1 || hosts[0] != DefaultHost {
		t.Error(hosts)
	}
	if hosts := c.Listen(true); len(hosts) != 1 || hosts[0] != "fd://" {
		t.Error(hosts)
	}
	c.Hosts = []string{"unix:///run/a.sock"}
	if hosts := c.Listen(true); len(hosts) != 1 || hosts[0] != "unix:///run/a.sock" {
		t.Error(hosts)
	}
}

func TestErrorsName(t *testing.T) {
	for want, args := range map[string][]string{
		"unknown directives: nonsense":                                    {"--config-file", file(t, `{"nonsense": 1}`)},
		"unknown directives: graph, host, repair, version":                {"check", "--config-file", file(t, `{"host": "fd://", "graph": "/g", "version": true, "repair": true}`)},
		"use man, markdown, bash, zsh, fish":                              {"manual", "html"},
		"unexpected argument \"now\"":                                     {"doctor", "now"},
		"both as a flag and in the file: debug":                           {"-D", "--config-file", file(t, `{"debug": true}`)},
		"no such file":                                                    {"--config-file", "/nonexistent/x.json"},
		"log-level \"loud\"":                                              {"-l", "loud", "--config-file", file(t, "{}")},
		"label \"x\": must be key=value":                                  {"--label", "x", "--config-file", file(t, "{}")},
		"unexpected argument \"run\"":                                     {"run"},
		"native.cgroupdriver":                                             {"--exec-opt", "x=y", "--config-file", file(t, "{}")},
		"invalid ulimit type":                                             {"--default-ulimit", "bogus=1"},
		"unknown flag: --nope":                                            {"--nope"},
		"log-driver \"syslogg\": use json-file, journald, syslog or none": {"--log-driver", "syslogg", "--config-file", file(t, "{}")},
		"build-deny \"metadata\": use ADDRESS or NETWORK/LENGTH":          {"--build-deny", "metadata", "--config-file", file(t, "{}")},
		"begin with unix:///PATH":                                         {"--socket", "/run/a.sock,allow=Images"},
		"allows nothing":                                                  {"--socket", "unix:///run/a.sock,label=a=b"},
		"is not allow=…":                                                  {"--socket", "unix:///run/a.sock,allow=Images,x"},
		"unknown field mode":                                              {"--socket", "unix:///run/a.sock,allow=Images,mode=0666"},
		"an empty name":                                                   {"--socket", "unix:///run/a.sock,allow=Images++Volumes"},
		"use label=NAME=VALUE":                                            {"--socket", "unix:///run/a.sock,allow=Images,label=a"},
		"is given twice":                                                  {"--config-file", file(t, `{"sockets": ["unix:///a,allow=x", "unix:///a,allow=y"]}`)},
		"in the file: sockets":                                            {"--socket", "unix:///a,allow=x", "--config-file", file(t, `{"sockets": []}`)},
		"unexpected end of JSON":                                          {"--config-file", file(t, `{"debug"`)},
	} {
		if _, err := Parse(args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	var b strings.Builder
	if _, err := Parse([]string{"--help"}, &b); !errors.Is(err, pflag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"Usage:", "Examples:", "--data-root", "DOCKER_HOST=", "berthd doctor --help"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("help lacks %q", want)
		}
	}
	b.Reset()
	if _, err := Parse([]string{"check", "--help"}, &b); !errors.Is(err, pflag.ErrHelp) {
		t.Fatal(err)
	}
	for _, want := range []string{"berthd check [--repair]", "Exit status:", "--repair", "--data-root"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("help of check lacks %q", want)
		}
	}
	if strings.Contains(b.String(), "--bip") {
		t.Error("help of check shows what means nothing to it")
	}
}

// TestEachFlagIsInAGroup: the manual shows every flag under a heading.
func TestEachFlagIsInAGroup(t *testing.T) {
	p, times := Manual(), map[string]int{}
	for _, g := range p.Groups {
		for _, name := range g.Flags {
			times[name]++
			if p.Main.Flags.Lookup(name) == nil {
				t.Errorf("%s: there is no flag %s", g.Name, name)
			}
		}
	}
	p.Main.Flags.VisitAll(func(f *pflag.Flag) {
		if want := 1; !f.Hidden && times[f.Name] != want {
			t.Errorf("--%s is in %d groups", f.Name, times[f.Name])
		}
	})
	for _, name := range p.Paths {
		if p.Main.Flags.Lookup(name) == nil {
			t.Errorf("there is no flag %s", name)
		}
	}
	for name := range p.Values {
		if p.Main.Flags.Lookup(name) == nil {
			t.Errorf("there is no flag %s", name)
		}
	}
}

// TestEveryKeyIsRead: what the manual names as a key changes the configuration.
func TestEveryKeyIsRead(t *testing.T) {
	value := map[string]string{
		"bool": "true", "int": "7", "int64": "7", "string": `"x"`, "stringArray": `["x"]`,
		"log-opts": `{"a": "b"}`, "sockets": `["unix:///a,allow=Images"]`, "default-ulimits": `{"nofile": {"Soft": 1, "Hard": 2}}`,
	}
	p := Manual()
	for name, key := range p.Keys {
		f := p.Main.Flags.Lookup(name)
		text := value[key]
		if text == "" {
			text = value[f.Value.Type()]
		}
		if f.DefValue == "true" {
			text = "false"
		}
		c, plain := &Config{}, &Config{}
		flags := c.flags()
		_ = plain.flags()
		c.File = file(t, fmt.Sprintf("{%q: %s}", key, text))
		if err := c.readFile(flags); err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		c.File = plain.File
		if reflect.DeepEqual(c, plain) {
			t.Errorf("key %s with %s changes nothing", key, text)
		}
	}
}

// TestSockets reads the fields of --socket, from the flag and from the file.
func TestSockets(t *testing.T) {
	const a, b = "unix:///run/a.sock,allow=Containers+ImageList,label=team=a=b,allow=SystemPing,group=ci,label=x=", "unix:///b,allow=Images"
	flags, err := Parse([]string{"--socket", a, "--socket", b, "--config-file", file(t, "{}")}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := Parse([]string{"--config-file", file(t, `{"sockets": ["`+a+`", "`+b+`"]}`)}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Config{flags, fromFile} {
		want := Sockets{
			{"unix:///run/a.sock", []string{"Containers", "ImageList", "SystemPing"}, []string{"team=a=b", "x="}, "ci", a},
			{"unix:///b", []string{"Images"}, nil, "", b},
		}
		if !reflect.DeepEqual(c.Sockets, want) {
			t.Errorf("%+v", c.Sockets)
		}
	}
}
