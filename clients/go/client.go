// Package client is what Go programs need beside the generated clients in
// gen/client: connections to a daemon over a unix socket or TCP, and connections
// that attach and exec take over.
//
//	c, err := client.New("unix:///run/berth.sock", client.Options{Version: "1.23"})
//	…
//	api := v1_23.New(c, nil)
//	list, err := api.Containers.ContainerList(containers.NewContainerListParams())
//
// Operations that stream (logs, events, stats, pull, archives) copy to the
// io.Writer that they are given as bytes come, and return at the end; Split takes
// the log of a container without a terminal apart.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-openapi/runtime"
	transport "github.com/go-openapi/runtime/client"

	"github.com/seed-50ced230/berth/impl/stream"
)

// DefaultVersion is the version of the API that a Client speaks if none is given.
const DefaultVersion = "1.23"

// The ports of a tcp:// address that names none.
const (
	plainPort = "2375"
	tlsPort   = "2376"
)

// Options say how a daemon is spoken to.
type Options struct {
	// Version of the API, "1.18" to "1.23"; it must be that of the generated client.
	// Empty is DefaultVersion.
	Version string
	// TLS is for tcp:// addresses; nil speaks without.
	TLS *tls.Config
}

// Client is the transport of a generated client (New of gen/client/v1_NN), and
// opens connections that attach and exec take over. It is safe for concurrent use.
type Client struct {
	*transport.Runtime
	version string
	dial    func(ctx context.Context) (net.Conn, error)
}

// New gives a Client for a daemon at an address in the form of dockerd's -H:
// unix://PATH or tcp://HOST[:PORT]. Nothing is connected yet.
func New(address string, options Options) (*Client, error) {
	c := &Client{version: options.Version}
	if c.version == "" {
		c.version = DefaultVersion
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address of the daemon: %w", err)
	}
	host, scheme := "localhost", "http"
	switch u.Scheme {
	case "unix":
		path := strings.TrimPrefix(address, "unix://")
		c.dial = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	case "tcp":
		port := u.Port()
		if port == "" && options.TLS == nil {
			port = plainPort
		} else if port == "" {
			port = tlsPort
		}
		host = net.JoinHostPort(u.Hostname(), port)
		c.dial = func(ctx context.Context) (net.Conn, error) {
			if options.TLS == nil {
				return new(net.Dialer).DialContext(ctx, "tcp", host)
			}
			return (&tls.Dialer{Config: overHTTP1(options.TLS)}).DialContext(ctx, "tcp", host)
		}
	default:
		return nil, errors.New("address of the daemon: unix:// and tcp:// are known")
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }
	if options.TLS != nil && u.Scheme == "tcp" {
		scheme = "https"
	}
	web := &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}}
	c.Runtime = transport.NewWithClient(host, "/v"+c.version, []string{scheme}, web)
	c.Consumers[runtime.JSONMime] = runtime.ConsumerFunc(consumeJSON)
	for _, media := range []string{"application/vnd.docker.raw-stream", "application/x-tar", "application/octet-stream"} {
		c.Consumers[media] = runtime.ByteStreamConsumer()
	}
	// Logs come without a content type.
	c.Consumers[runtime.DefaultMime] = runtime.ByteStreamConsumer()
	for _, media := range []string{"application/x-tar", "application/tar"} {
		c.Producers[media] = runtime.ByteStreamProducer()
	}
	return c, nil
}

// overHTTP1 asks for the protocol that can be taken over.
func overHTTP1(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	return config
}

// consumeJSON decodes a JSON answer, or copies a stream of JSON lines.
func consumeJSON(r io.Reader, into any) error {
	if w, ok := into.(io.Writer); ok {
		_, err := io.Copy(w, r)
		return err
	}
	return runtime.JSONConsumer().Consume(r, into)
}

// Split takes the output of a process without a terminal apart, from logs, attach
// or exec: it reads frames until the end of r.
func Split(stdout, stderr io.Writer, r io.Reader) error { return stream.Split(stdout, stderr, r) }
