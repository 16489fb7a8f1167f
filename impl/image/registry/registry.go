// Package registry talks to image registries (Docker Registry HTTP API V2, OCI
// distribution-spec). It wraps oras-go with what an engine needs on top:
// certificates per host as Docker lays them out on disk, insecure registries,
// downloads that go on after a cut, and errors with a class and Docker's texts.
//
// Credentials go to the host they are for and nowhere else, and appear in no
// error text.
package registry

import (
	"context"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Options configure a Client; the zero value is good.
type Options struct {
	// Insecure are registries ("host", "host:port") and networks ("10.0.0.0/8")
	// that may be spoken to without verified TLS. 127.0.0.0/8 always may.
	Insecure []string
	// Mirrors are asked before the public registry ("https://host",
	// "http://host:port").
	Mirrors []string
	// CertsDir has a folder per host with *.crt (authorities), *.cert and *.key
	// (client certificates). Empty means /etc/docker/certs.d and
	// /etc/berth/certs.d.
	CertsDir string
	// UserAgent is sent with every request; empty means "berth".
	UserAgent string
	// Stall is how long a download may give no byte before it is tried again;
	// 0 means a minute.
	Stall time.Duration
}

// Credential is what the X-Registry-Auth header carries; the zero value is
// nobody. At most one form is set.
type Credential struct {
	Username, Password string
	// IdentityToken is exchanged for access at the registry's token service.
	IdentityToken string
	// RegistryToken is sent as it is.
	RegistryToken string
}

// Client opens repositories. It may be used by several goroutines.
type Client struct {
	o        Options
	networks []netip.Prefix
	hosts    map[string]bool
	mirrors  []string
	certs    []string
}

// New makes a client. Entries of Insecure that are neither a host nor a
// network are an error.
func New(o Options) (*Client, error) {
	if o.UserAgent == "" {
		o.UserAgent = "berth"
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	c := &Client{o: o, hosts: map[string]bool{}, networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	if c.certs = []string{o.CertsDir}; o.CertsDir == "" {
		c.certs = []string{"/etc/docker/certs.d", "/etc/berth/certs.d"}
	}
	for _, mirror := range o.Mirrors {
		u, err := url.Parse(mirror)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
			return nil, fault.Invalid("registry mirror %q: use http://HOST[:PORT] or https://HOST[:PORT]", mirror)
		}
		if u.Scheme == "http" {
			c.hosts[strings.ToLower(u.Host)] = true
		}
		c.mirrors = append(c.mirrors, u.Host)
	}
	for _, entry := range o.Insecure {
		if strings.Contains(entry, "/") {
			p, err := netip.ParsePrefix(entry)
			if err != nil {
				return nil, fault.Invalid("insecure registry %q: %w", entry, err)
			}
			c.networks = append(c.networks, p)
			continue
		}
		c.hosts[strings.ToLower(entry)] = true
	}
	return c, nil
}

// Hosts lists where to pull a repository from, in the order to try: the public
// registry has mirrors, others have themselves only. Credentials belong to the
// last.
func (c *Client) Hosts(named reference.Named) []string {
	host := hostOf(named)
	if host != hub {
		return []string{host}
	}
	return append(slices.Clone(c.mirrors), host)
}

// hub is where Docker Hub's registry answers.
const hub = "registry-1.docker.io"

func hostOf(named reference.Named) string {
	if host := reference.Domain(named); host != "docker.io" {
		return host
	}
	return hub
}

// Open prepares access to a repository at its own host. Nothing is sent, but to
// a registry that may be insecure: there it finds out whether it speaks TLS.
// Close the Repository after use.
func (c *Client) Open(ctx context.Context, named reference.Named, cred Credential) (*Repository, error) {
	return c.OpenAt(ctx, hostOf(named), named, cred)
}

// OpenAt is Open at a host that need not be the repository's own: a mirror.
func (c *Client) OpenAt(ctx context.Context, host string, named reference.Named, cred Credential) (*Repository, error) {
	a, err := c.reach(ctx, host, "/v2/")
	if err != nil {
		return nil, err
	}
	repo, err := remote.NewRepository(host + "/" + reference.Path(named))
	if err != nil {
		a.close()
		return nil, fault.Invalid("invalid repository name: %w", err)
	}
	repo.PlainHTTP = a.plain
	repo.ManifestMediaTypes = manifestTypes
	repo.MaxMetadataBytes = maxManifest
	repo.TagListMaxPages = 1000
	repo.Client = c.authorizer(a, cred)
	return &Repository{repo: repo, named: reference.TrimNamed(named), stall: c.o.Stall, close: a.close}, nil
}
