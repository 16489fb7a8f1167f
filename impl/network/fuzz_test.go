package network

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/plugin"
	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzPlugin has a network and address plugin give any answer to what it is asked
// for. What is taken of it is what was asked for, or can be used.
func FuzzPlugin(f *testing.F) {
	for _, text := range []string{
		`{"Interface":{"MacAddress":"02:42:ac:11:00:02"}}`, `{"Interface":{"Address":"10.0.0.3/24"}}`, `{"Interface":{"MacAddress":"ff:ff:ff:ff:ff:ff"}}`,
		`{"InterfaceName":{"SrcName":"veth0","DstPrefix":"eth"},"Gateway":"10.0.0.1","StaticRoutes":[{"Destination":"10.1.0.0/16","RouteType":0,"NextHop":"10.0.0.9"}]}`,
		`{"InterfaceName":{"SrcName":"../x","DstPrefix":""}}`, `{"PoolID":"p","Pool":"10.0.0.0/24","Data":{"com.docker.network.gateway":"10.0.0.1/24"}}`,
		`{"Address":"10.0.0.5/24"}`, `{"Err":"no"}`, `null`, `{"RequiresMACAddress":true,"LocalDefaultAddressSpace":"x"}`,
	} {
		f.Add([]byte(text))
	}
	var answer atomic.Pointer[[]byte]
	dir := f.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "fuzzed.sock"))
	if err != nil {
		f.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := []byte(`{"Implements":["NetworkDriver","IpamDriver"]}`)
		if !strings.HasSuffix(r.URL.Path, "Activate") {
			text = *answer.Load()
		}
		_, _ = w.Write(text)
	})}
	go func() { _ = server.Serve(l) }()
	f.Cleanup(func() { _ = server.Close() })
	plugins := plugin.New(plugin.Options{Sockets: dir})
	d, a := remote{plugins, "fuzzed"}, allocator{plugins: plugins, name: "fuzzed"}
	subnet := netip.MustParsePrefix("10.0.0.0/24")
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		answer.Store(&text)
		ctx := t.Context()
		e := Endpoint{NetworkID: "n", EndpointID: "e", IPv4: netip.MustParsePrefix("10.0.0.2/24")}
		made := e
		if err := d.createEndpoint(ctx, &made); err == nil && (made.IPv4 != e.IPv4 || len(made.MAC) != 6 || made.MAC[0]&1 != 0) {
			t.Errorf("%q: %+v", text, made)
		}
		if j, err := d.join(ctx, "key", e); err == nil {
			if strings.ContainsAny(j.device+j.prefix, "/ \x00") || j.device == "" || len(j.device) > maxDeviceName || j.gateway.IsValid() && !e.IPv4.Contains(j.gateway) {
				t.Errorf("%q: %+v", text, j)
			}
			for _, r := range j.routes {
				if !r.To.IsValid() || r.To.Addr().Is6() {
					t.Errorf("%q: route %+v", text, r)
				}
			}
		}
		if id, got, gateway, err := a.pool(ctx, "s", false, IPAMConfig{Subnet: subnet}); err == nil && (id == "" || got != subnet || gateway.IsValid() && !subnet.Contains(gateway)) {
			t.Errorf("%q: pool %q %v %v", text, id, got, gateway)
		}
		wanted := netip.MustParseAddr("10.0.0.5")
		if got, err := a.request(ctx, "p", wanted, nil); err == nil && got != wanted {
			t.Errorf("%q: address %v", text, got)
		}
	})
}

// FuzzFiles writes hosts and resolv.conf for any settings on a host with any
// resolv.conf: no setting makes a line of its own, and a container with a
// network has a nameserver that it can reach.
func FuzzFiles(f *testing.F) {
	f.Add("web", "example.org", "a:1.2.3.4", "1.1.1.1", "example.org", "ndots:1", "nameserver 127.0.0.53\nsearch a b\n# c\noptions x\n")
	f.Add("web.example.org", "", "a b:::1", " 1.1.1.1 ", ".", "", "nameserver fe80::1%eth0\n nameserver 10.0.0.1")
	f.Add("", "", "a\n127.0.0.1 b:1.2.3.4", "", "", "", "nameserver\nnameserver x\n\x00")
	f.Fuzz(func(t *testing.T, host, domain, extra, dns, search, option, resolv string) {
		defer effort.Bound()()
		spec := FilesSpec{Mode: ModeBridge, Hostname: host, Domainname: domain, ExtraHosts: []string{extra}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}}
		if err := spec.Validate(); err == nil {
			text, err := hostsText(spec)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := hostsText(FilesSpec{Mode: ModeBridge, Hostname: "a", ExtraHosts: []string{"a:1.2.3.4"}, Addresses: spec.Addresses})
			if err != nil {
				t.Fatal(err)
			}
			if n, want := strings.Count(text, "\n"), strings.Count(plain, "\n"); n > want {
				t.Errorf("%q %q %q: %d lines, wanted %d: %q", host, domain, extra, n, want, text)
			}
		} else if !errdefs.IsInvalidArgument(err) {
			t.Errorf("%v is not the client's", err)
		}
		if reached := nameservers(reachable(resolv, false)); len(reached) == 0 {
			t.Errorf("%q: no nameserver remains", resolv)
		} else {
			for _, a := range reached {
				if a.IsLoopback() || a.Is6() {
					t.Errorf("%q: %v cannot be reached", resolv, a)
				}
			}
		}
		spec = FilesSpec{Mode: ModeBridge, DNS: []string{dns}, DNSSearch: []string{search}, DNSOptions: []string{option}}
		if spec.Validate() != nil {
			return
		}
		text := buildResolvConf(spec.DNS, spec.DNSSearch, spec.DNSOptions)
		if strings.Count(text, "\n") > 3 || len(nameservers(text)) != 1 {
			t.Errorf("%q %q %q: %q", dns, search, option, text)
		}
	})
}

// FuzzHosts changes a container's hosts file, which the container writes to as
// it likes: other lines stay as they are, and a second change finds the first.
func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1\tlocalhost\n10.0.0.9\tdb other\n10.0.0.2\tweb\n"))
	f.Add([]byte("10.0.0.9 db"))
	f.Add([]byte("\n\r\n\x00 db\n\tdb db\n"))
	dir := f.TempDir()
	m := &Manager{}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer effort.Bound()()
		path := filepath.Join(dir, "hosts")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		read := func() string {
			have, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			return string(have)
		}
		moved := []HostEntry{{netip.MustParseAddr("10.0.0.10"), []string{"db", "data"}}}
		if err := m.MoveHosts(path, moved); err != nil {
			t.Fatal(err)
		}
		once := read()
		if err := m.MoveHosts(path, moved); err != nil {
			t.Fatal(err)
		}
		if twice := read(); once != twice {
			t.Errorf("%q became %q and then %q", text, once, twice)
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); (len(fields) < 2 || fields[1] != "db") && !strings.Contains(once, line) {
				t.Errorf("%q lost %q", text, line)
			}
		}
		come := []netip.Addr{netip.MustParseAddr("10.0.0.77")}
		if err := m.EditHosts(path, nil, come, "me", ""); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(read(), "10.0.0.77\tme\n") {
			t.Errorf("%q lacks its own line: %q", text, read())
		}
		if strings.Contains(once, "10.0.0.77\tme\n") {
			return
		}
		if err := m.EditHosts(path, come, nil, "me", ""); err != nil {
			t.Fatal(err)
		}
		if back := read(); strings.TrimSuffix(back, "\n") != strings.TrimSuffix(once, "\n") {
			t.Errorf("%q became %q", once, back)
		}
	})
}
