package config

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/seed-50ced230/berth/impl/manual"
)

// Manual describes berthd: what it is asked with, and what it does then.
func Manual() manual.Program {
	c := &Config{}
	return c.program(c.flags())
}

// parse takes the arguments of the daemon or of a command apart. Every command
// accepts the daemon's flags, so that they say where its data are.
func (c *Config) parse(args []string, usage io.Writer) (*pflag.FlagSet, error) {
	f := c.flags()
	command := ""
	if len(args) > 0 {
		switch args[0] {
		case "check":
			c.Check = true
			f.AddFlagSet(c.checkFlags())
		case "doctor":
			c.Doctor = true
			f.AddFlagSet(c.doctorFlags())
		case "manual":
			c.Manual = "man"
		}
		if c.Check || c.Doctor || c.Manual != "" {
			command, args = args[0], args[1:]
		}
	}
	f.SetOutput(usage)
	f.Usage = func() {
		d := &Config{}
		manual.Help(usage, d.program(d.flags()), command)
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	rest := f.Args()
	if c.Manual != "" && len(rest) > 0 {
		c.Manual, rest = rest[0], rest[1:]
		if !slices.Contains(manual.Formats(), c.Manual) {
			return nil, fmt.Errorf("manual %q: use %s", c.Manual, strings.Join(manual.Formats(), ", "))
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("unexpected argument %q: berthd takes flags only (or check, doctor or manual before them), see berthd --help", rest[0])
	}
	return f, nil
}

func (c *Config) checkFlags() *pflag.FlagSet {
	f := commandFlags()
	f.BoolVar(&c.Repair, "repair", false, "repair what can be repaired and remove what is beyond saving")
	return f
}

func (c *Config) doctorFlags() *pflag.FlagSet {
	f := commandFlags()
	f.BoolVarP(&c.Quiet, "quiet", "q", false, "print only what is not in order")
	f.BoolVar(&c.JSON, "json", false, "print the findings as JSON")
	return f
}

func commandFlags() *pflag.FlagSet {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.SortFlags = false
	return f
}

// with adds those of the daemon's flags that matter to a command.
func with(own, daemon *pflag.FlagSet, names ...string) *pflag.FlagSet {
	for _, name := range names {
		own.AddFlag(daemon.Lookup(name))
	}
	return own
}

func (c *Config) program(f *pflag.FlagSet) manual.Program {
	return manual.Program{
		Name: "berthd", Section: 8, Summary: "a container engine that speaks the Docker Remote API v1.18 to v1.23",
		Main: manual.Command{
			Usage: []string{"berthd [flags]"}, Flags: f,
			Notes: []string{"Every flag but config-file and version may stand in the configuration file under its long name; flags that can be repeated have the plural there " +
				"(hosts, sockets, labels, dns-opts, log-opts, exec-opts, default-ulimits, insecure-registries, registry-mirrors, plugin-specs, authorization-plugins). A setting stands in one of the two places, not in both.",
				"A socket of --socket refuses with 403 what its allow= does not name: operationIds of the documents (ContainerList, ContainerInspect, SystemPing, …), their tags " +
					"(Containers, Images, Networks, Volumes, Misc), Documents for /swagger.json. With label= (several: all must be there) its clients see and change only containers, " +
					"networks and volumes with the label, and what they create gets it; what they create may not reach the host: no host paths, devices, capabilities, host namespaces, " +
					"foreign volumes or networks, no subnets of their own choice, and nothing that the engine itself fetches (fromSrc, remote, ADD of an address). Images are common to all " +
					"sockets, and a container has the labels of its image, too. The log tells of every refusal (level warn) and every allowed change (level info) with socket, user and " +
					"process: message audit."},
			Examples: []manual.Item{
				{Term: "berthd", Text: "listen on the sockets that systemd passes, else on " + DefaultHost},
				{Term: "berthd -H unix:///run/a.sock -H fd://", Text: "several listeners"},
				{Term: "berthd -H tcp://127.0.0.1:2376 --tlsverify --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem"},
				{Term: "berthd --socket unix:///run/ci.sock,allow=Containers+ImageList+SystemPing,label=team=ci,group=ci"},
				{Term: "DOCKER_HOST=" + DefaultHost + " DOCKER_API_VERSION=1.23 docker ps"},
			},
			Exit: []manual.Item{{Term: "0", Text: "it was asked to end (SIGTERM, SIGINT); containers go on"}, {Term: "1", Text: "it could not start; the last line says why"}},
		},
		Commands: []manual.Command{c.checkCommand(f), c.doctorCommand(f), manualCommand()},
		Groups:   groups(), Values: map[string][]string{
			"log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"},
			"log-driver": {"json-file", "journald", "syslog", "none"},
			"exec-opt":   {"native.cgroupdriver=cgroupfs", "native.cgroupdriver=systemd"},
		},
		Paths: []string{"data-root", "exec-root", "pidfile", "tlscacert", "tlscert", "tlskey", "shim", "plugin-sockets", "plugin-spec", "docs-conformance", "config-file"},
		Keys:  keys(f),
		Signals: []manual.Item{
			{Term: "SIGTERM", Text: "end; requests under way have ten seconds. Containers go on, and the next daemon finds them."},
			{Term: "SIGHUP", Text: "read the configuration again. TLS files, debug, log-level and labels are taken over; the log names what needs a new start."},
			{Term: "SIGUSR1", Text: "write the stacks of all goroutines to goroutines-TIME.txt in the exec root."},
		},
		Files: []manual.Item{
			{Term: DefaultFile, Text: "settings as JSON, read if it is there"},
			{Term: "/var/lib/berth", Text: "images, containers and volumes"},
			{Term: "/run/berth.sock", Text: "the API"},
			{Term: "/run/berth", Text: "running state"},
		},
		SeeAlso: []string{"berth-conformance(1)", "docker(1)", "systemd.socket(5)"},
	}
}

func (c *Config) checkCommand(f *pflag.FlagSet) manual.Command {
	return manual.Command{
		Name: "check", Summary: "check the data root of a stopped daemon",
		Usage: []string{"berthd check [--repair] [--data-root DIR] [--exec-root DIR]"},
		About: []string{
			"berthd check reads all images, layers, names and databases below the data root and compares them with what they should be. The daemon must not run meanwhile. " +
				"Without --repair nothing is changed. With --repair, no container may run either: they outlive the daemon, and need the layers that a repair replaces or removes.",
			"With --repair, a layer is unpacked again if its compressed form is kept. What is beyond saving is removed: an image with a damaged layer, with its names " +
				"(pull or load it again), records that make no sense, damaged compressed layers. A damaged database is replaced by one with everything that could be read; " +
				"the old file stays beside it. What containers wrote is never touched.",
		},
		Flags: with(c.checkFlags(), f, "data-root", "exec-root", "config-file", "log-level", "log-format"),
		Notes: []string{"All other flags of the daemon are accepted, too, and mean nothing here."},
		Exit: []manual.Item{
			{Term: "0", Text: "everything is whole, or was made so"},
			{Term: "1", Text: "something is damaged or lost; it was printed, one line each"},
			{Term: "2", Text: "the check could not be made: the daemon or a container runs, a file cannot be read, …"},
		},
	}
}

func (c *Config) doctorCommand(f *pflag.FlagSet) manual.Command {
	return manual.Command{
		Name: "doctor", Summary: "look at the host and say what to do",
		Usage: []string{"berthd doctor [--quiet] [--json] [flags of the daemon]"},
		About: []string{
			"berthd doctor looks whether this host has what the daemon needs with the settings that the other flags and the configuration file give it: the kernel's features, control groups, " +
				"overlayfs, nftables, seccomp, mounts, addresses and ports, programs, certificates, disk and stores. It tries things out and leaves nothing behind. Each finding is one line; what is not in order is " +
				"followed by what to do. It may run beside the daemon, and as root only sees everything.",
		},
		Flags: with(c.doctorFlags(), f, "host", "data-root", "exec-root", "bridge", "bip", "config-file"),
		Notes: []string{"All other flags of the daemon are accepted, too, and looked at as far as they need something of the host."},
		Exit: []manual.Item{
			{Term: "0", Text: "the daemon can work; there may be warnings"},
			{Term: "1", Text: "something that it needs is missing or broken"},
			{Term: "2", Text: "the examination could not be made: wrong arguments or configuration"},
		},
	}
}

func manualCommand() manual.Command {
	return manual.Command{
		Name: "manual", Summary: "print the man page or a shell's completions",
		Usage:     []string{"berthd manual [man|markdown|bash|zsh|fish]"},
		About:     []string{"berthd manual prints this manual as a man page (without an argument, too) or as Markdown, or the completions for a shell."},
		Arguments: manual.Formats(),
		Examples: []manual.Item{
			{Term: "berthd manual | man -l -"},
			{Term: "source <(berthd manual bash)", Text: "complete in this shell"},
		},
	}
}

// keys are the names of the flags in the configuration file.
func keys(f *pflag.FlagSet) map[string]string {
	m := map[string]string{}
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "config-file" && flag.Name != "version" && !flag.Hidden {
			m[flag.Name] = flag.Name
		}
	})
	for key, name := range names {
		m[name] = key
	}
	return m
}

// groups are the flags by subject.
func groups() []manual.Group {
	return []manual.Group{
		{Name: "Listening", Flags: []string{"host", "group", "allow-plain-tcp", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey", "api-cors-header", "socket"}},
		{Name: "Places", Flags: []string{"data-root", "exec-root", "pidfile", "config-file", "shim"}},
		{Name: "The daemon's own log", Flags: []string{"debug", "log-level", "log-format"}},
		{Name: "Logs of containers", Flags: []string{"log-driver", "log-opt"}},
		{Name: "The default network", Flags: []string{"bridge", "bip", "fixed-cidr", "default-gateway", "ipv6", "fixed-cidr-v6", "default-gateway-v6", "mtu", "icc", "ip-masq", "ip"}},
		{Name: "Names", Flags: []string{"dns", "dns-search", "dns-opt"}},
		{Name: "Resources", Flags: []string{"cgroup-parent", "exec-opt", "default-ulimit", "userns-remap"}},
		{Name: "Registries", Flags: []string{"insecure-registry", "registry-mirror"}},
		{Name: "Builds", Flags: []string{"build-deny", "build-pids-limit"}},
		{Name: "Plugins", Flags: []string{"plugin-sockets", "plugin-spec", "authorization-plugin"}},
		{Name: "Watching it", Flags: []string{"metrics-addr", "pprof-addr", "docs-addr", "docs-conformance", "label", "version"}},
	}
}
