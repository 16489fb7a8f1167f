package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

// FuzzFiles writes hosts and resolv.conf for any settings on a host with any
// resolv.conf: no setting makes a line of its own, and a container with a
// network has a nameserver that it can reach.
func FuzzFiles(f *testing.F) {
	f.Add("web", "example.org", "a:1.2.3.4", "1.1.1.1", "example.org", "ndots:1", "nameserver 127.0.0.53\nsearch a b\n# c\noptions x\n")
	f.Add("web.example.org", "", "a b:::1", " 1.1.1.1 ", ".", "", "nameserver fe80::1%eth0\n nameserver 10.0.0.1")
	f.Add("", "", "a\n127.0.0.1 b:1.2.3.4", "", "", "", "nameserver\nnameserver x\n\x00")
	f.Fuzz(func(t *testing.T, host, domain, extra, dns, search, option, resolv string) {
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
