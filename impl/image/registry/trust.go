package registry

import (
	"net/netip"
	"slices"
	"strings"
)

// Trust is how a client treats registries, as GET /info shows it.
type Trust struct {
	// Networks are those whose registries need no verified TLS.
	Networks []netip.Prefix
	// Hosts are further registries of that kind, sorted.
	Hosts []string
	// Mirrors are asked before the public registry, in this order.
	Mirrors []string
}

// Trust describes the client's options.
func (c *Client) Trust() Trust {
	t := Trust{Networks: slices.Clone(c.networks), Mirrors: slices.Clone(c.o.Mirrors)}
	for _, entry := range c.o.Insecure {
		if !strings.Contains(entry, "/") {
			t.Hosts = append(t.Hosts, entry)
		}
	}
	slices.Sort(t.Hosts)
	return t
}
