package ipam

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/containerd/errdefs"
)

func prefix(s string) netip.Prefix {
	if s == "" {
		return netip.Prefix{}
	}
	return netip.MustParsePrefix(s)
}

func TestPool(t *testing.T) {
	for _, c := range []struct {
		subnet, span string
		taken        []string
		want         string // all that Take gives
	}{
		{"10.0.0.0/29", "", nil, "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"},
		{"10.0.0.0/29", "", []string{"10.0.0.1", "10.0.0.4"}, "10.0.0.2 10.0.0.3 10.0.0.5 10.0.0.6"},
		{"10.0.0.9/29", "", nil, "10.0.0.9 10.0.0.10 10.0.0.11 10.0.0.12 10.0.0.13 10.0.0.14"},
		{"10.0.0.0/16", "10.0.3.0/30", nil, "10.0.3.0 10.0.3.1 10.0.3.2 10.0.3.3"},
		{"10.0.0.0/16", "10.0.255.252/30", nil, "10.0.255.252 10.0.255.253 10.0.255.254"},
		{"255.255.255.248/29", "", nil, "255.255.255.249 255.255.255.250 255.255.255.251 255.255.255.252 255.255.255.253 255.255.255.254"},
		{"2001:db8::/126", "", nil, "2001:db8::1 2001:db8::2 2001:db8::3"},
	} {
		p, err := NewPool(prefix(c.subnet), prefix(c.span))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range c.taken {
			if err := p.TakeAddr(netip.MustParseAddr(a)); err != nil {
				t.Error(err)
			}
		}
		got := ""
		for range 100 {
			a, err := p.Take()
			if errdefs.IsUnavailable(err) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if got != "" {
				got += " "
			}
			got += a.String()
		}
		if got != c.want {
			t.Errorf("%s %s: %s\nwant %s", c.subnet, c.span, got, c.want)
		}
	}
	for _, c := range [][2]string{{"10.0.0.0/24", "10.0.1.0/30"}, {"10.0.0.0/24", "10.0.0.0/16"}, {"", ""}} {
		if _, err := NewPool(prefix(c[0]), prefix(c[1])); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestReuse(t *testing.T) {
	p, err := NewPool(prefix("10.0.0.0/24"), prefix(""))
	if err != nil {
		t.Fatal(err)
	}
	var all []netip.Addr
	for range 5 {
		a, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	p.Give(all[3])
	p.Give(all[1])
	p.Give(all[1]) // twice is once
	p.Give(netip.MustParseAddr("10.9.9.9"))
	got := ""
	for range 3 {
		a, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		got += fmt.Sprint(a, " ")
	}
	if got != "10.0.0.2 10.0.0.4 10.0.0.6 " {
		t.Errorf("reused %s", got)
	}
	if err := p.TakeAddr(all[1]); !errdefs.IsConflict(err) {
		t.Errorf("taken address: %v", err)
	}
	if err := p.TakeAddr(netip.MustParseAddr("10.0.1.1")); !errdefs.IsInvalidArgument(err) {
		t.Errorf("foreign address: %v", err)
	}
}

func TestChoose(t *testing.T) {
	var seventeens []netip.Prefix
	for i := 16; i < 32; i++ {
		seventeens = append(seventeens, prefix(fmt.Sprintf("172.%d.3.0/24", i)))
	}
	for _, c := range []struct {
		name  string
		taken []netip.Prefix
		want  string
	}{
		{"nothing taken", nil, "172.17.0.0/16"},
		{"a part is taken", seventeens[1:3], "172.19.0.0/16"},
		{"a supernet is taken", []netip.Prefix{prefix("172.16.0.0/12")}, "192.168.0.0/20"},
		{"all of 172 are taken", append(seventeens, prefix("192.168.1.1/32")), "192.168.16.0/20"},
		{"all are taken", append(seventeens, prefix("192.168.0.0/16")), ""},
	} {
		got, err := Choose(c.taken)
		if c.want == "" {
			if !errdefs.IsUnavailable(err) {
				t.Errorf("%s: %v %v", c.name, got, err)
			}
		} else if err != nil || got.String() != c.want {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
	}
}

// Who asks for a resting address by value gets it when it is given back, one of
// many; who asks for one that does not rest is refused at once.
func TestRestingAddress(t *testing.T) {
	p, err := NewPool(netip.MustParsePrefix("10.0.0.0/24"), netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr("10.0.0.10")
	if err := p.TakeAddr(a); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitAddr(a, time.Hour); !errdefs.IsConflict(err) {
		t.Errorf("an address that is in use: %v", err)
	}
	p.Rest(a)
	if err := p.AwaitAddr(a, time.Millisecond); !errdefs.IsConflict(err) {
		t.Errorf("an address that rests for longer: %v", err)
	}
	results := make(chan error)
	for range 3 {
		go func() { results <- p.AwaitAddr(a, time.Minute) }()
	}
	p.Give(a)
	got := 0
	for range 3 {
		if err := <-results; err == nil {
			got++
		} else if !errdefs.IsConflict(err) {
			t.Errorf("while others wait: %v", err)
		}
	}
	if got != 1 {
		t.Errorf("%d got the address", got)
	}
}

// TestThousandNetworks takes and gives back every address of a thousand networks
// of IPv4, and a container's worth of as many of IPv6.
func TestThousandNetworks(t *testing.T) {
	seen := make(map[netip.Addr]bool)
	for i := range 1000 {
		four, err := NewPool(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), netip.Prefix{})
		if err != nil {
			t.Fatal(err)
		}
		six, err := NewPool(netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0, byte(i >> 8), byte(i)}), 64), netip.Prefix{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Pool{four, six} {
			before := p.Used()
			var taken []netip.Addr
			for range 254 {
				a, err := p.Take()
				if err != nil || seen[a] || !p.Subnet().Contains(a) {
					t.Fatalf("network %d: %s, %v", i, a, err)
				}
				seen[a] = true
				taken = append(taken, a)
			}
			if _, err := p.Take(); (err == nil) != (p == six) {
				t.Fatalf("network %d: the address after the last: %v", i, err)
			} else if err == nil {
				before++
			}
			for _, a := range taken {
				p.Give(a)
			}
			if p.Used() != before {
				t.Fatalf("network %d: %d addresses are used, %d were", i, p.Used(), before)
			}
		}
	}
}
