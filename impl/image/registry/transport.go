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

	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/seed-50ced230/berth/impl/fault"
)

// dialTimeout bounds a connection's set-up; who waits for it is a person.
const dialTimeout = 10 * time.Second

// access is a way to a host: its certificates, and whether it speaks TLS.
type access struct {
	host      string
	plain     bool
	transport *http.Transport
}

// address is the URL of a path on the host.
func (a *access) address(path string) string {
	if a.plain {
		return "http://" + a.host + path
	}
	return "https://" + a.host + path
}

// patient is the transport with repeated attempts at what a busy registry
// refuses.
func (a *access) patient() http.RoundTripper {
	return &retry.Transport{Base: a.transport, Policy: func() retry.Policy {
		return &retry.GenericPolicy{
			Retryable: func(resp *http.Response, err error) (bool, error) {
				var op *net.OpError
				if errors.As(err, &op) && op.Op == "dial" {
					// Who did not answer in all that time will not a second later.
					return false, err
				}
				return retry.DefaultPredicate(resp, err)
			},
			Backoff:  retry.DefaultBackoff,
			MinWait:  200 * time.Millisecond,
			MaxWait:  3 * time.Second,
			MaxRetry: 5,
		}
	}}
}

func (a *access) close() { a.transport.CloseIdleConnections() }

// reach prepares the way to a host. Nothing is sent, but to a registry that may
// be insecure: there it finds out whether it speaks TLS. path is what such a
// registry is asked for.
func (c *Client) reach(ctx context.Context, host, path string) (*access, error) {
	insecure := c.insecure(ctx, host)
	tlsConfig, err := c.tls(host, insecure)
	if err != nil {
		return nil, err
	}
	a := &access{host: host, transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: c.o.Stall,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		// An answer's head needs some lines; a host that sends more means ill.
		MaxResponseHeaderBytes: 256 << 10,
	}}
	if insecure {
		if a.plain, err = c.probe(ctx, a.transport, host, path); err != nil {
			a.close()
			return nil, err
		}
	}
	return a, nil
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
	name = strings.Trim(name, "[]")
	// An answer that does not come soon is no reason to do without TLS.
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(name); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", name); err != nil {
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
	return len(addrs) > 0
}

// tls reads the host's certificates.
func (c *Client) tls(host string, insecure bool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} // asked for by the daemon's settings
	for _, dir := range c.certs {
		if err := addCertificates(config, filepath.Join(dir, host)); err != nil {
			return nil, fmt.Errorf("read certificates of %s: %w", host, err)
		}
	}
	return config, nil
}

// addCertificates reads a host's folder. Files: *.crt authorities, *.cert with
// the *.key of the same name for the client.
func addCertificates(config *tls.Config, dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch filepath.Ext(name) {
		case ".crt":
			pem, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if config.RootCAs == nil {
				if config.RootCAs, err = x509.SystemCertPool(); err != nil {
					config.RootCAs = x509.NewCertPool()
				}
			}
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return fault.Internal("no certificate in %s", name)
			}
		case ".cert":
			key := strings.TrimSuffix(name, ".cert") + ".key"
			pair, err := tls.LoadX509KeyPair(name, key)
			if err != nil {
				return fault.Internal("client certificate %s with key %s: %w", name, key, err)
			}
			config.Certificates = append(config.Certificates, pair)
		}
	}
	return nil
}

// probe says whether an insecure registry is to be spoken to without TLS.
func (c *Client) probe(ctx context.Context, transport http.RoundTripper, host, path string) (plain bool, err error) {
	client := &http.Client{
		Transport: transport,
		// What counts is who answers, not where it sends us.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	try := func(scheme string) error {
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+host+path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", c.o.UserAgent)
		resp, err := client.Do(req)
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
	} else if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err := try("http"); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		return false, fault.Unavailable("%w", err)
	}
	return true, nil
}
