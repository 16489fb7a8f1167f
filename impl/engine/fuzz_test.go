package engine

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/container"
	"github.com/seed-50ced230/berth/impl/image/registry"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzWords reads the texts that stand in parameters and settings.
func FuzzWords(f *testing.F) {
	for _, text := range []string{
		"SIGRTMIN+3", "9", "1456789.000000001", "-1.5", "ctrl-a,x,ctrl-@", "all", "80-90/udp", "1-65535", "tcp", "0", "a:/b:ro,z", "/a:/b:rshared", "/b", ":/b",
		`{"configs":{"docker.io":{"username":"a"}},"auths":{"https://index.docker.io/v1/":{"auth":"YTpi"}}}`, `{"docker.io":null,"auths":[]}`,
		"name:/x/alias", "/a", "10.0.0.0/8", "::/0", "10.0.0.1", "1.2.3.4:80-90:80/tcp", "[", ":", "::", "\x00", "99999999999999999999",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		defer effort.Bound()()
		var errs []error
		note := func(err error) bool {
			errs = append(errs, err)
			return err == nil
		}
		if s, err := parseSignal(text, syscall.SIGTERM); note(err) && (s < 1 || s > 64) {
			t.Errorf("%q is signal %d", text, s)
		}
		if at, err := moment(text); note(err) && text != "" && at.IsZero() {
			t.Errorf("%q is no time, and no error", text)
		}
		if keys, err := parseDetachKeys(text); note(err) && len(keys) == 0 {
			t.Errorf("%q are no keys", text)
		}
		if n := parseTail(text); n < -1 {
			t.Errorf("%q is a tail of %d", text, n)
		}
		if ports, err := expandPort(text); note(err) && (len(ports) == 0 || len(ports) > 65535 || ports[0].number == 0) {
			t.Errorf("%q are %d ports", text, len(ports))
		}
		var p network.PortSpec
		note(bindHost(&p, models.PortBinding{HostIP: "", HostPort: text}, 0, 1))
		if p.HostPortEnd != 0 && p.HostPortEnd < p.HostPort {
			t.Errorf("%q are the ports %d to %d", text, p.HostPort, p.HostPortEnd)
		}
		if m, err := parseBind(text); note(err) {
			if !filepath.IsAbs(m.Destination) || m.Destination == "/" || filepath.Clean(m.Destination) != m.Destination || m.Source != "" && !filepath.IsAbs(m.Source) {
				t.Errorf("%q is %+v", text, m)
			}
			if (m.Source != "") == (m.Name != "" || m.Anonymous) {
				t.Errorf("%q is both or nothing: %+v", text, m)
			}
		}
		if name, alias, err := parseLink(text); note(err) && (name == "" || alias == "" || strings.ContainsAny(alias, ":/")) {
			t.Errorf("%q links %q as %q", text, name, alias)
		}
		if pool, err := parsePool(models.IPAMConfig{Subnet: text}); note(err) && text != "" && pool.Subnet != pool.Subnet.Masked() {
			t.Errorf("%q is the subnet %v", text, pool.Subnet)
		}
		_, err := parsePool(models.IPAMConfig{Gateway: text, AuxAddress: map[string]string{"a": text}})
		note(err)
		if auth := registryAuth(base64.URLEncoding.EncodeToString([]byte(text)), "docker.io"); auth != "" {
			raw, err := base64.URLEncoding.DecodeString(auth)
			if err != nil || !json.Valid(raw) {
				t.Errorf("%q: %q is no header: %v", text, auth, err)
			}
			_, _ = registry.ParseCredential(auth)
		}
		note(checkTmpfs(&models.HostConfig{Tmpfs: map[string]string{"/a": text, text: ""}}, nil))
		for _, err := range errs {
			if err != nil && !errdefs.IsInvalidArgument(err) {
				t.Errorf("%v is not the client's", err)
			}
		}
	})
}

// FuzzSettings judges a creation's body as far as that needs no image: any refusal
// is the client's, and what passes says where everything goes.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"Image":"a","Env":["A=b"],"WorkingDir":"/a/..","Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}},"StopSignal":"TERM","MacAddress":"02:42:ac:11:00:02",
		"HostConfig":{"Binds":["v:/data:ro"],"Links":["a:b"],"Memory":4194304,"MemorySwap":-1,"Ulimits":[{"Name":"nofile","Soft":1,"Hard":2}],
		"PortBindings":{"80/tcp":[{"HostPort":"8080"}]},"LogConfig":{"Type":"json-file","Config":{"max-size":"1m","tag":"{{.Name}}"}},"NetworkMode":"none",
		"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":1},"ExtraHosts":["a:1.2.3.4"],"Dns":["8.8.8.8"],"DnsSearch":["."],"Tmpfs":{"/t":"size=1m"}}}`))
	f.Add([]byte(`{"Cpuset":"0","Memory":-1,"HostConfig":{"PublishAllPorts":true,"NetworkMode":"container:a","SecurityOpt":["seccomp={}"],
		"LogConfig":{"Type":"syslog","Config":{"syslog-address":"udp://127.0.0.1:514","tag":"{{range .}}"}},"BlkioWeightDevice":[{"Path":"/dev/x","Weight":10}]}}`))
	e := &Engine{containers: container.NewRegistry()}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		var b models.ContainerCreateRequest
		if json.Unmarshal(text, &b) != nil {
			return
		}
		c, h := configOf(&b), b.HostConfig
		if h == nil {
			h = &models.HostConfig{}
		}
		liftOldResources(c, h)
		fillHostConfig(h)
		dropEmptyItems(h)
		r := &container.Record{ID: strings.Repeat("a", 64), Name: "/a", Config: c, HostConfig: h}
		ok := true
		for _, judge := range []func() error{
			func() error { return checkConflicts(c, h) },
			func() error { return checkLimits(h) },
			func() error { return checkPortBindings(h.PortBindings) },
			func() error { return CheckLogDriver(h.LogConfig.Type, h.LogConfig.Config) },
			func() error { _, err := e.security(h, nil); return err },
			func() error { return e.checkConfig(c, h) },
			func() error { return e.resolveModes(h) },
			func() error { return e.checkLinks(h) },
			func() error {
				return network.FilesSpec{Hostname: c.Hostname, Domainname: c.Domainname, ExtraHosts: h.ExtraHosts, DNS: h.DNS,
					DNSSearch: h.DNSSearch, DNSOptions: h.DNSOptions}.Validate()
			},
			func() (err error) { r.Mounts, err = e.planMounts(r); return err },
			func() error { _, err := portSpecs(r); return err },
			func() error { _, _, err := defaults.Grant(nil, h.CapAdd, h.CapDrop, h.Privileged); return err },
		} {
			if err := judge(); err != nil {
				ok = false
				if !errdefs.IsInvalidArgument(err) && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) {
					t.Errorf("%v is not the client's", err)
				}
			}
		}
		if !ok {
			return
		}
		seen := map[string]bool{}
		for _, m := range r.Mounts {
			if seen[m.Destination] || m.Name == "" && !m.Anonymous && !filepath.IsAbs(m.Source) {
				t.Errorf("mounts: %+v", r.Mounts)
			}
			seen[m.Destination] = true
		}
	})
}

// FuzzUser looks a user up in any passwd and group of an image.
func FuzzUser(f *testing.F) {
	f.Add("a:b", "c", "a:x:1:2::/home/a:/bin/sh\nb\n:\n", "b:x:3:a,d\nc:x:4:\n")
	f.Add("1000", "0", "", "")
	f.Add("-1:4294967296", "-1", "a:x:99999999999:1:::", "a:x:-5:")
	f.Add(":", "", "root::0:0:::", "::::\n")
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
		f.Fatal(err)
	}
	tree, err := os.OpenFile(dir, syscall.O_DIRECTORY|syscall.O_RDONLY, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { tree.Close() })
	f.Fuzz(func(t *testing.T, name, group, passwd, groups string) {
		defer effort.Bound()()
		for file, text := range map[string]string{"passwd": passwd, "group": groups} {
			if err := os.WriteFile(filepath.Join(dir, "etc", file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		u, env, err := findUser(tree, name, []string{group}, []string{"A=b"})
		if err != nil {
			if !errdefs.IsInvalidArgument(err) {
				t.Errorf("%v is not the client's", err)
			}
			return
		}
		if len(env) != 2 || len(u.AdditionalGids) == 0 || u.AdditionalGids[0] != u.GID {
			t.Errorf("%q: %+v %v", name, u, env)
		}
		for _, id := range append(u.AdditionalGids, u.UID) {
			if id > 1<<31-1 {
				t.Errorf("%q is the id %d", name, id)
			}
		}
	})
}
