// Package config reads the daemon's settings: flags with dockerd's names and a
// JSON file in the form of daemon.json whose keys are the flags' long names.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// DefaultFile is read when it exists and --config-file is not given.
const DefaultFile = "/etc/berth/daemon.json"

// DefaultHost is where the daemon listens when no -H is given: a socket of its
// own, so that a Docker Engine on the same host is left alone.
const DefaultHost = "unix:///run/berth.sock"

// NoBridge as the name of the bridge asks for no default network.
const NoBridge = "none"

// Config are the daemon's settings. The json names are the keys of the file.
type Config struct {
	// Hosts are empty if none is given; Listen tells where to listen then.
	Hosts []string `json:"hosts"`
	// Sockets are further listeners, which allow only what they name.
	Sockets      Sockets  `json:"sockets"`
	DataRoot     string   `json:"data-root"`
	ExecRoot     string   `json:"exec-root"`
	Pidfile      string   `json:"pidfile"`
	Debug        bool     `json:"debug"`
	LogLevel     string   `json:"log-level"`
	LogFormat    string   `json:"log-format"`
	Group        string   `json:"group"`
	CORS         string   `json:"api-cors-header"`
	Labels       []string `json:"labels"`
	AllowPlain   bool     `json:"allow-plain-tcp"`
	TLS          bool     `json:"tls"`
	TLSVerify    bool     `json:"tlsverify"`
	TLSCACert    string   `json:"tlscacert"`
	TLSCert      string   `json:"tlscert"`
	TLSKey       string   `json:"tlskey"`
	Bridge       string   `json:"bridge"`
	BridgeIP     string   `json:"bip"`
	FixedCIDR    string   `json:"fixed-cidr"`
	IPv6         bool     `json:"ipv6"`
	FixedCIDR6   string   `json:"fixed-cidr-v6"`
	Gateway6     string   `json:"default-gateway-v6"`
	Gateway      string   `json:"default-gateway"`
	MTU          int      `json:"mtu"`
	ICC          bool     `json:"icc"`
	Masquerade   bool     `json:"ip-masq"`
	HostIP       string   `json:"ip"`
	DNS          []string `json:"dns"`
	DNSSearch    []string `json:"dns-search"`
	DNSOptions   []string `json:"dns-opts"`
	LogDriver    string   `json:"log-driver"`
	LogOptions   Pairs    `json:"log-opts"`
	CgroupParent string   `json:"cgroup-parent"`
	ExecOptions  []string `json:"exec-opts"`
	Ulimits      Ulimits  `json:"default-ulimits"`
	UsernsRemap  string   `json:"userns-remap"`
	Shim         string   `json:"shim"`
	// PluginSockets and PluginSpecs are as impl/plugin.Options has them.
	PluginSockets string   `json:"plugin-sockets"`
	PluginSpecs   []string `json:"plugin-specs"`
	// Authorization are the names of plugins that have to allow requests, in order.
	Authorization []string `json:"authorization-plugins"`
	// InsecureRegistries and RegistryMirrors are as image/registry.Options has them.
	InsecureRegistries []string `json:"insecure-registries"`
	RegistryMirrors    []string `json:"registry-mirrors"`

	// BuildDeny are networks and addresses; BuildDenied reads them.
	BuildDeny []string `json:"build-deny"`
	// BuildPids is the most processes of a RUN step, 0 for any number.
	BuildPids int64 `json:"build-pids-limit"`

	// MetricsAddr and PprofAddr are listeners of their own; see their flags.
	MetricsAddr string `json:"metrics-addr"`
	PprofAddr   string `json:"pprof-addr"`
	// DocsAddr and DocsConformance are of the documentation's own listener.
	DocsAddr        string `json:"docs-addr"`
	DocsConformance string `json:"docs-conformance"`

	// File is the configuration file; it cannot be set in itself.
	File string `json:"-"`
	// ShowVersion asks for the version and no daemon.
	ShowVersion bool `json:"-"`
	// Check asks to check what the data root holds, and for no daemon; Repair
	// to repair it, too.
	Check, Repair bool `json:"-"`
	// Doctor asks to look at the host, and for no daemon; Quiet for what is not in
	// order only, JSON for findings that programs read.
	Doctor, Quiet, JSON bool `json:"-"`
	// Manual asks for the manual in this format, and for no daemon.
	Manual string `json:"-"`
}

// Pairs are options of the form key=value.
type Pairs map[string]string

// names maps the file's keys to the flags' names where they differ (dockerd
// has the plural in the file where a flag may be repeated).
var names = map[string]string{
	"hosts": "host", "sockets": "socket", "labels": "label", "dns-opts": "dns-opt",
	"log-opts": "log-opt", "exec-opts": "exec-opt", "default-ulimits": "default-ulimit",
	"insecure-registries": "insecure-registry", "registry-mirrors": "registry-mirror", "plugin-specs": "plugin-spec",
	"authorization-plugins": "authorization-plugin",
}

// Parse reads the arguments (without the program's name) and the file they
// name. pflag.ErrHelp means that help was asked for and has been printed to
// usage.
func Parse(args []string, usage io.Writer) (*Config, error) {
	c := &Config{}
	flags, err := c.parse(args, usage)
	if err != nil {
		return nil, err
	}
	if c.ShowVersion || c.Manual != "" {
		return c, nil
	}
	if err := c.readFile(flags); err != nil {
		return nil, err
	}
	return c, c.check()
}

// Listen is where the daemon listens: as it is told, else on the sockets that
// systemd passed if it passed any, else on DefaultHost.
func (c *Config) Listen(passed bool) []string {
	switch {
	case len(c.Hosts) > 0:
		return c.Hosts
	case passed:
		return []string{"fd://"}
	}
	return []string{DefaultHost}
}

// readFile merges the file. A setting may stand in the file or on the command
// line, not in both, because it would be unclear which one is meant.
func (c *Config) readFile(flags *pflag.FlagSet) error {
	data, err := os.ReadFile(c.File)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && !flags.Changed("config-file") {
			return nil
		}
		return fmt.Errorf("read the configuration file: %w", err)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return fmt.Errorf("configuration file %s: %w", c.File, err)
	}
	known := map[string]string{}
	for name, key := range keys((&Config{}).flags()) {
		known[key] = name
	}
	var unknown, both []string
	for key := range given {
		name, ok := known[key]
		switch {
		case !ok:
			unknown = append(unknown, key)
		case flags.Changed(name):
			both = append(both, key)
		}
	}
	slices.Sort(unknown)
	slices.Sort(both)
	if len(unknown) > 0 {
		return fmt.Errorf("configuration file %s: unknown directives: %s", c.File, strings.Join(unknown, ", "))
	}
	if len(both) > 0 {
		return fmt.Errorf("configuration file %s: given both as a flag and in the file: %s", c.File, strings.Join(both, ", "))
	}
	if err := json.Unmarshal(data, c); err != nil {
		return fmt.Errorf("configuration file %s: %w", c.File, err)
	}
	return nil
}

func (c *Config) check() error {
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("log-level %q: use debug, info, warn or error", c.LogLevel)
	}
	switch c.LogFormat {
	case "text", "json":
	default:
		return fmt.Errorf("log-format %q: use text or json", c.LogFormat)
	}
	if c.Debug {
		c.LogLevel = "debug"
	}
	for _, path := range []*string{&c.DataRoot, &c.ExecRoot} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	for _, l := range c.Labels {
		if key, _, ok := strings.Cut(l, "="); !ok || key == "" {
			return fmt.Errorf("label %q: must be key=value", l)
		}
	}
	switch c.LogDriver {
	case "json-file", "journald", "syslog", "none":
	default:
		return fmt.Errorf("log-driver %q: use json-file, journald, syslog or none", c.LogDriver)
	}
	if c.BuildPids < 0 {
		return fmt.Errorf("build-pids-limit %d: use 0 (no limit) or more", c.BuildPids)
	}
	if _, err := c.BuildDenied(); err != nil {
		return err
	}
	_, err := c.CgroupDriver()
	return err
}

// BuildDenied are the networks of --build-deny; an address is a network of its own.
func (c *Config) BuildDenied() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range c.BuildDeny {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			at, aerr := netip.ParseAddr(text)
			if aerr != nil || at.Zone() != "" {
				return nil, fmt.Errorf("build-deny %q: use ADDRESS or NETWORK/LENGTH, such as 169.254.0.0/16", text)
			}
			at = at.Unmap()
			p = netip.PrefixFrom(at, at.BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// CgroupDriver is the driver of --exec-opt native.cgroupdriver: cgroupfs (the
// default) or systemd.
func (c *Config) CgroupDriver() (string, error) {
	driver := "cgroupfs"
	for _, o := range c.ExecOptions {
		key, value, _ := strings.Cut(o, "=")
		if key != "native.cgroupdriver" {
			return "", fmt.Errorf("exec-opt %q: the only option is native.cgroupdriver=cgroupfs|systemd", o)
		}
		if value != "cgroupfs" && value != "systemd" {
			return "", fmt.Errorf("exec-opt %q: use cgroupfs or systemd", o)
		}
		driver = value
	}
	return driver, nil
}
