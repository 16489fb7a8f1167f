package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestHosts(t *testing.T) {
	own := []netip.Addr{mustAddr("172.17.0.2")}
	for _, c := range []struct {
		name string
		spec FilesSpec
		want string
	}{
		{"short name", FilesSpec{Mode: ModeBridge, Hostname: "web", Addresses: own}, "172.17.0.2\tweb\n"},
		{"domain", FilesSpec{Mode: ModeBridge, Hostname: "web", Domainname: "example.com", Addresses: own}, "172.17.0.2\tweb.example.com web\n"},
		{"full hostname", FilesSpec{Mode: ModeBridge, Hostname: "web.example.com", Addresses: own}, "172.17.0.2\tweb.example.com web\n"},
		{"extra hosts", FilesSpec{Mode: ModeBridge, Hostname: "web", Addresses: own, ExtraHosts: []string{"a:10.0.0.1", "b:2001:db8::1"}},
			"10.0.0.1\ta\n2001:db8::1\tb\n172.17.0.2\tweb\n"},
		{"links", FilesSpec{Mode: ModeBridge, Hostname: "web", Addresses: own, Links: []HostEntry{{mustAddr("172.17.0.9"), []string{"db", "0123456789ab", "mysql"}}}},
			"172.17.0.9\tdb 0123456789ab mysql\n172.17.0.2\tweb\n"},
		{"none", FilesSpec{Mode: ModeNone, Hostname: "web"}, ""},
	} {
		got, err := hostsText(c.spec)
		if err != nil || got != defaultHosts+c.want {
			t.Errorf("%s: %v\n%s", c.name, err, got)
		}
	}
	host, err := os.ReadFile(hostsPath)
	must(t, err)
	got, err := hostsText(FilesSpec{Mode: ModeHost, Hostname: "web", ExtraHosts: []string{"a:10.0.0.1"}})
	if err != nil || got != strings.TrimSuffix(string(host), "\n")+"\n10.0.0.1\ta\n" {
		t.Errorf("host mode: %v\n%s", err, got)
	}
}

func TestReachable(t *testing.T) {
	const fallback = "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
	for _, c := range []struct{ name, text, want string }{
		{"kept as it is", "# mine\nnameserver 10.0.0.1\nsearch a b\noptions ndots:1\n", "# mine\nnameserver 10.0.0.1\nsearch a b\noptions ndots:1\n"},
		{"loopback left out", "nameserver 127.0.0.1\nnameserver 10.0.0.1\n", "nameserver 10.0.0.1\n"},
		{"only loopback", "search a\nnameserver 127.0.0.53\n", "search a\n" + fallback},
		{"IPv6 left out", "nameserver fe80::1%eth0\nnameserver ::1\nnameserver 2001:db8::1\n", fallback},
		{"no end of line", "nameserver 10.0.0.1", "nameserver 10.0.0.1\n"},
		{"empty", "", fallback},
		{"tabs", "nameserver\t127.0.1.1\n nameserver  10.0.0.1\n", " nameserver  10.0.0.1\n"},
	} {
		if got := reachable(c.text, false); got != c.want {
			t.Errorf("%s:\n%s", c.name, got)
		}
	}
	for _, c := range []struct {
		name                     string
		servers, search, options []string
		want                     string
	}{
		{"all", []string{"10.0.0.1", "10.0.0.2"}, []string{"a", "b"}, []string{"ndots:2", "rotate"},
			"search a b\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:2 rotate\n"},
		{"no search", []string{"10.0.0.1"}, []string{"."}, nil, "nameserver 10.0.0.1\n"},
		{"empty option", []string{"10.0.0.1"}, nil, []string{""}, "nameserver 10.0.0.1\n"},
	} {
		if got := buildResolvConf(c.servers, c.search, c.options); got != c.want {
			t.Errorf("%s:\n%s", c.name, got)
		}
	}
	if got := lastLine("search a\n#search b\nsearch c d\n", "search", "domain"); strings.Join(got, " ") != "c d" {
		t.Errorf("last search line %v", got)
	}
}

func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	spec := FilesSpec{Dir: dir, Mode: ModeBridge, Hostname: "web", DNS: []string{"10.0.0.1"}, DNSSearch: []string{"example.com"}}
	for range 2 { // a restart writes over the old ones
		files, err := WriteFiles(spec)
		must(t, err)
		for path, want := range map[string]string{
			files.Hostname:   "web\n",
			files.ResolvConf: "search example.com\nnameserver 10.0.0.1\n",
			files.Hosts:      defaultHosts,
		} {
			got, err := os.ReadFile(path)
			must(t, err)
			if string(got) != want {
				t.Errorf("%s:\n%s", path, got)
			}
			if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o644 || filepath.Dir(path) != dir {
				t.Errorf("%s: %v %v", path, st.Mode(), err)
			}
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("%d files", len(entries))
	}
	for text, change := range map[string]func(*FilesSpec){
		`bad format for add-host: "nocolon"`:                          func(s *FilesSpec) { s.ExtraHosts = []string{"nocolon"} },
		`invalid IP address in add-host: "10.0.0"`:                    func(s *FilesSpec) { s.ExtraHosts = []string{"a:10.0.0"} },
		`bad format for add-host: "a\nb:10.0.0.1"`:                    func(s *FilesSpec) { s.ExtraHosts = []string{"a\nb:10.0.0.1"} },
		`here is not an ip address`:                                   func(s *FilesSpec) { s.DNS = []string{"here"} },
		"a\nnameserver 6.6.6.6 is not a valid domain":                 func(s *FilesSpec) { s.DNSSearch = []string{"a\nnameserver 6.6.6.6"} },
		`invalid DNS option "a\nb"`:                                   func(s *FilesSpec) { s.DNSOptions = []string{"a\nb"} },
		`invalid hostname format: "a\nb"`:                             func(s *FilesSpec) { s.Hostname = "a\nb" },
		`a container that joins another one's network uses its files`: func(s *FilesSpec) { s.Mode = ModeContainer },
	} {
		bad := spec
		change(&bad)
		if _, err := WriteFiles(bad); !errdefs.IsInvalidArgument(err) || err.Error() != text {
			t.Errorf("got %v\nwant %s", err, text)
		}
	}
}
