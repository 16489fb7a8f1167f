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
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distribution/reference"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Options configure a Client; the zero value is good.
type Options struct {
	// Insecure are registries ("host", "host:port") and networks ("10.0.0.0/8")
	// that may be spoken to without verified TLS. 127.0.0.0/8 always may.
	Insecure []string
	// CertsDir has a folder per host with *.crt (authorities), *.cert and *.key
	// (client certificates). Empty means /etc/docker/certs.d.
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
}

// New makes a client. Entries of Insecure that are neither a host nor a
// network are an error.
func New(o Options) (*Client, error) {
	if o.CertsDir == "" {
		o.CertsDir = "/etc/docker/certs.d"
	}
	if o.UserAgent == "" {
		o.UserAgent = "berth"
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	c := &Client{o: o, hosts: map[string]bool{}, networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
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

// hub is where Docker Hub's registry answers.
const hub = "registry-1.docker.io"

func hostOf(named reference.Named) string {
	if host := reference.Domain(named); host != "docker.io" {
		return host
	}
	return hub
}

// Open prepares access to a repository. Nothing is sent, but to a registry
// that may be insecure: there it finds out whether it speaks TLS.
func (c *Client) Open(ctx context.Context, named reference.Named, cred Credential) (*Repository, error) {
	host := hostOf(named)
	insecure := c.insecure(ctx, host)
	tlsConfig, err := c.tls(host, insecure)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: c.o.Stall,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	plain := false
	if insecure {
		if plain, err = c.probe(ctx, transport, host); err != nil {
			transport.CloseIdleConnections()
			return nil, err
		}
	}
	repo, err := remote.NewRepository(host + "/" + reference.Path(named))
	if err != nil {
		return nil, fault.Invalid("invalid repository name: %w", err)
	}
	repo.PlainHTTP = plain
	repo.ManifestMediaTypes = manifestTypes
	repo.MaxMetadataBytes = maxManifest
	repo.TagListMaxPages = 1000
	repo.Client = &auth.Client{
		Client: &http.Client{Transport: retry.NewTransport(transport)},
		Header: http.Header{"User-Agent": {c.o.UserAgent}},
		Cache:  auth.NewCache(),
		Credential: func(_ context.Context, hostport string) (auth.Credential, error) {
			if hostport != host {
				return auth.EmptyCredential, nil
			}
			return auth.Credential{Username: cred.Username, Password: cred.Password, RefreshToken: cred.IdentityToken, AccessToken: cred.RegistryToken}, nil
		},
		ClientID: "docker",
	}
	return &Repository{repo: repo, named: reference.TrimNamed(named), stall: c.o.Stall, close: transport.CloseIdleConnections}, nil
}

// insecure says whether the host is listed, or all its addresses are in a listed network.
func (c *Client) insecure(ctx context.Context, host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if c.hosts[strings.ToLower(host)] || c.hosts[strings.ToLower(name)] {
		return true
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.Trim(name, "[]"))
	if err != nil || len(addrs) == 0 {
		return false
	}
	for _, a := range addrs {
		inside := false
		for _, n := range c.networks {
			inside = inside || n.Contains(a.Unmap())
		}
		if !inside {
			return false
		}
	}
	return true
}

// tls reads the host's certificates. Files: *.crt authorities, *.cert with the
// *.key of the same name for the client.
func (c *Client) tls(host string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	dir := filepath.Join(c.o.CertsDir, host)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return config, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read certificates of %s: %w", host, err)
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch filepath.Ext(name) {
		case ".crt":
			pem, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read certificates of %s: %w", host, err)
			}
			if config.RootCAs == nil {
				if config.RootCAs, err = x509.SystemCertPool(); err != nil {
					config.RootCAs = x509.NewCertPool()
				}
			}
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fault.Invalid("no certificate in %s", name)
			}
		case ".cert":
			key := strings.TrimSuffix(name, ".cert") + ".key"
			pair, err := tls.LoadX509KeyPair(name, key)
			if err != nil {
				return nil, fault.Invalid("client certificate %s with key %s: %w", name, key, err)
			}
			config.Certificates = append(config.Certificates, pair)
		}
	}
	return config, nil
}

// probe says whether an insecure registry is to be spoken to without TLS.
func (c *Client) probe(ctx context.Context, transport http.RoundTripper, host string) (plain bool, err error) {
	try := func(scheme string) error {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+"/v2/", nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", c.o.UserAgent)
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, resp.Body, 64<<10)
		resp.Body.Close()
		if err == io.EOF {
			err = nil
		}
		return err
	}
	if err := try("https"); err == nil {
		return false, nil
	}
	if err := try("http"); err != nil {
		return false, fault.Unavailable("%w", err)
	}
	return true, nil
}
