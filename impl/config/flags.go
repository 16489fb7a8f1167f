package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
)

// flags are those of the daemon.
func (c *Config) flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("berthd", pflag.ContinueOnError)
	f.SortFlags = false
	f.StringArrayVarP(&c.Hosts, "host", "H", nil, "listen on unix://PATH, tcp://HOST:PORT or fd:// (repeat; default: the sockets that systemd passes, else "+DefaultHost+")")
	f.Var(&c.Sockets, "socket", "listen on a further socket that allows only what it names: unix://PATH,allow=OPERATION+TAG+…[,label=NAME=VALUE…][,group=GROUP] (repeat; see below)")
	f.StringVar(&c.DataRoot, "data-root", "/var/lib/berth", "directory of images, containers and volumes")
	f.StringVarP(&c.DataRoot, "graph", "g", "/var/lib/berth", "old name of --data-root")
	_ = f.MarkHidden("graph")
	f.StringVar(&c.ExecRoot, "exec-root", "/run/berth", "directory of running state, best on a tmpfs")
	f.StringVarP(&c.Pidfile, "pidfile", "p", "/run/berth.pid", "file to write the daemon's pid to (empty for none)")
	f.BoolVarP(&c.Debug, "debug", "D", false, "the same as --log-level debug")
	f.StringVarP(&c.LogLevel, "log-level", "l", "info", "least severity that is logged: debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", "text", "form of the log: text or json")
	f.StringVarP(&c.Group, "group", "G", "", "group of the unix sockets (default docker, root if there is no such group)")
	f.StringVar(&c.CORS, "api-cors-header", "", "value of Access-Control-Allow-Origin (empty: no CORS)")
	f.StringArrayVar(&c.Labels, "label", nil, "label key=value, shown by GET /info (repeat)")
	f.BoolVar(&c.AllowPlain, "allow-plain-tcp", false, "serve tcp:// without TLS: everybody who reaches the port is root on this host")
	f.BoolVar(&c.TLS, "tls", false, "use TLS on tcp://; implied by --tlsverify")
	f.BoolVar(&c.TLSVerify, "tlsverify", false, "use TLS on tcp:// and demand a client certificate of --tlscacert")
	f.StringVar(&c.TLSCACert, "tlscacert", "/etc/berth/ca.pem", "certificates that may sign clients")
	f.StringVar(&c.TLSCert, "tlscert", "/etc/berth/cert.pem", "the server's certificate")
	f.StringVar(&c.TLSKey, "tlskey", "/etc/berth/key.pem", "the server's key")
	f.StringVarP(&c.Bridge, "bridge", "b", "berth0", "device of the default network; none for no default network")
	f.StringVar(&c.BridgeIP, "bip", "", "address of the bridge as ADDRESS/LENGTH (default: a free private subnet)")
	f.BoolVar(&c.IPv6, "ipv6", false, "give the default network IPv6; needs --fixed-cidr-v6")
	f.StringVar(&c.FixedCIDR6, "fixed-cidr-v6", "", "IPv6 subnet of the default network")
	f.StringVar(&c.Gateway6, "default-gateway-v6", "", "IPv6 gateway of containers, if it is not the bridge")
	f.StringVar(&c.FixedCIDR, "fixed-cidr", "", "part of the bridge's subnet to take addresses from")
	f.StringVar(&c.Gateway, "default-gateway", "", "gateway of containers if it is not the bridge")
	f.IntVar(&c.MTU, "mtu", 1500, "MTU of container interfaces, bytes")
	f.BoolVar(&c.ICC, "icc", true, "let containers of the default network reach each other")
	f.BoolVar(&c.Masquerade, "ip-masq", true, "masquerade what containers send to the outside")
	f.StringVar(&c.HostIP, "ip", "0.0.0.0", "default address of published ports")
	f.StringArrayVar(&c.DNS, "dns", nil, "name server of containers (repeat)")
	f.StringArrayVar(&c.DNSSearch, "dns-search", nil, "search domain of containers (repeat)")
	f.StringArrayVar(&c.DNSOptions, "dns-opt", nil, "resolver option of containers (repeat)")
	f.StringVar(&c.LogDriver, "log-driver", "json-file", "default log driver: json-file, journald, syslog or none")
	f.Var(&c.LogOptions, "log-opt", "option key=value of the log driver, such as max-size=10m, max-file=3, syslog-address=udp://host:514 (repeat)")
	f.StringVar(&c.CgroupParent, "cgroup-parent", "", "parent cgroup of containers (default /berth)")
	f.StringArrayVar(&c.ExecOptions, "exec-opt", nil, "option native.cgroupdriver=cgroupfs|systemd (default cgroupfs)")
	f.Var(&c.Ulimits, "default-ulimit", "NAME=SOFT[:HARD] for every container (repeat)")
	f.StringVar(&c.UsernsRemap, "userns-remap", "", "run containers in user namespaces with the subordinate ids of default, USER[:GROUP] or UID[:GID] (default: user dockremap, made if it is not there; empty: no user namespaces)")
	f.StringArrayVar(&c.InsecureRegistries, "insecure-registry", nil, "HOST[:PORT] or NETWORK/LENGTH that may do without verified TLS (repeat; 127.0.0.0/8 always may)")
	f.StringArrayVar(&c.RegistryMirrors, "registry-mirror", nil, "URL of a mirror of the public registry (repeat)")
	f.StringArrayVar(&c.Authorization, "authorization-plugin", nil, "plugin that has to allow every request and answer (repeat; asked in order; one that is dead or slow allows nothing)")
	f.StringVar(&c.PluginSockets, "plugin-sockets", "/run/docker/plugins", "directory of plugins' sockets NAME.sock (empty for none)")
	f.StringArrayVar(&c.PluginSpecs, "plugin-spec", []string{"/etc/docker/plugins", "/usr/lib/docker/plugins"}, "directory of plugins' addresses NAME.spec and NAME.json (repeat)")
	f.StringArrayVar(&c.BuildDeny, "build-deny", nil, "ADDRESS or NETWORK/LENGTH that ADD and remote contexts of builds may not reach, such as 169.254.0.0/16 for metadata services or 127.0.0.0/8 for the host's own (repeat; git is HTTP only then)")
	f.Int64Var(&c.BuildPids, "build-pids-limit", 16384, "most processes and threads of a RUN step, against builds that fork for ever (0: no limit)")
	f.StringVar(&c.Shim, "shim", "", "path of berth-shim (default: beside berthd)")
	f.StringVar(&c.MetricsAddr, "metrics-addr", "", "serve Prometheus metrics at HOST:PORT/metrics (empty: not served)")
	f.StringVar(&c.PprofAddr, "pprof-addr", "", "serve Go profiles at HOST:PORT/debug/pprof/ (empty: not served; whoever reaches it can slow the daemon)")
	f.StringVar(&c.DocsAddr, "docs-addr", "", "serve the documentation of the API at this HOST:PORT (empty: not served)")
	f.StringVar(&c.DocsConformance, "docs-conformance", "", "report.json of berth-conformance, shown in the documentation")
	f.StringVar(&c.File, "config-file", DefaultFile, "settings as JSON, in the form of daemon.json")
	f.BoolVarP(&c.ShowVersion, "version", "v", false, "print the version and exit")
	return f
}

// String gives key=value items in the order of the keys.
func (p *Pairs) String() string {
	var items []string
	for k, v := range *p {
		items = append(items, k+"="+v)
	}
	slices.Sort(items)
	return strings.Join(items, ",")
}

// Set adds key=value.
func (p *Pairs) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q must be key=value", s)
	}
	if *p == nil {
		*p = Pairs{}
	}
	(*p)[key] = value
	return nil
}

// Type is shown in the help.
func (p *Pairs) Type() string { return "stringArray" }

// Ulimits are the default resource limits by name (setrlimit(2), lower case
// without RLIMIT_).
type Ulimits map[string]*units.Ulimit

// String gives the limits in the form of Set.
func (u *Ulimits) String() string {
	var items []string
	for _, v := range *u {
		items = append(items, v.String())
	}
	slices.Sort(items)
	return strings.Join(items, ",")
}

// Set adds NAME=SOFT[:HARD].
func (u *Ulimits) Set(s string) error {
	limit, err := units.ParseUlimit(s)
	if err != nil {
		return err
	}
	if *u == nil {
		*u = Ulimits{}
	}
	(*u)[limit.Name] = limit
	return nil
}

// Type is shown in the help.
func (u *Ulimits) Type() string { return "stringArray" }

// UnmarshalJSON reads daemon.json's form {"nofile": {"Name": …, "Soft": …, "Hard": …}}.
func (u *Ulimits) UnmarshalJSON(data []byte) error {
	var m map[string]*units.Ulimit
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	for name, limit := range m {
		if limit == nil {
			return fmt.Errorf("default-ulimits: %s has no value", name)
		}
		if limit.Name == "" {
			limit.Name = name
		}
		if _, err := limit.GetRlimit(); err != nil {
			return fmt.Errorf("default-ulimits: %w", err)
		}
	}
	*u = m
	return nil
}
