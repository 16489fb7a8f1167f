// Package listen opens the sockets that the daemon serves: unix sockets, TCP
// with or without TLS, and sockets that systemd has opened. It knows nothing
// of HTTP.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
)

// DefaultGroup owns the unix socket if it exists and no other group is asked
// for (overview of v1.23, first section).
const DefaultGroup = "docker"

// The ports of a tcp:// address that names none.
const (
	plainPort = "2375"
	tlsPort   = "2376"
)

// Options say how sockets are opened.
type Options struct {
	// Group owns unix sockets: a name or a number. Empty is DefaultGroup if it
	// exists, else root.
	Group string
	// TLS protects tcp:// sockets; nil leaves them open.
	TLS *TLS
	// InsecureTCP allows tcp:// sockets without TLS: whoever reaches one is
	// root on this machine.
	InsecureTCP bool
	// Logger is told about sockets that are open to everybody; nil is slog.Default().
	Logger *slog.Logger
}

// Open opens all addresses, each in the form of dockerd's -H: unix://PATH,
// tcp://HOST:PORT, fd:// (all sockets that systemd passed) or fd://NUMBER or
// fd://NAME. If one fails the others are closed again.
func Open(ctx context.Context, addresses []string, options Options) (_ []net.Listener, err error) {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	config, err := options.TLS.open()
	if err != nil {
		return nil, err
	}
	var opened []net.Listener
	activated := &passed{}
	defer func() {
		err = errors.Join(err, activated.close())
		if err == nil {
			return
		}
		for _, l := range opened {
			err = errors.Join(err, l.Close())
		}
	}()
	for _, address := range addresses {
		listeners, err := open(ctx, address, options, config, activated)
		if err != nil {
			return nil, fmt.Errorf("listen on %s: %w", address, err)
		}
		opened = append(opened, listeners...)
	}
	return opened, nil
}

func open(ctx context.Context, address string, options Options, config *tls.Config, activated *passed) ([]net.Listener, error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return nil, errors.New("the address has no scheme; unix://, tcp:// and fd:// are known")
	}
	switch scheme {
	case "unix":
		return one(openUnix(ctx, rest, options.Group))
	case "tcp":
		return one(openTCP(ctx, rest, options, config))
	case "fd":
		listeners, err := activated.take(rest)
		if err != nil {
			return nil, err
		}
		return protect(listeners, options, config)
	}
	return nil, fmt.Errorf("unknown scheme %s://; unix://, tcp:// and fd:// are known", scheme)
}

func one(l net.Listener, err error) ([]net.Listener, error) {
	if err != nil {
		return nil, err
	}
	return []net.Listener{l}, nil
}

func openTCP(ctx context.Context, address string, options Options, config *tls.Config) (net.Listener, error) {
	address = TCPAddress(address, config != nil)
	if config == nil && !options.InsecureTCP {
		return nil, errPlain
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return overTLS(l, options, config), nil
}

// TCPAddress is the HOST:PORT of what follows tcp:// in an address. Secure says that
// TLS is spoken there, which has another port where none is named.
func TCPAddress(rest string, secure bool) string {
	port := plainPort
	if secure {
		port = tlsPort
	}
	rest = strings.TrimSuffix(rest, "/")
	if host, given, err := net.SplitHostPort(rest); err != nil {
		return net.JoinHostPort(strings.Trim(rest, "[]"), port)
	} else if given == "" {
		return net.JoinHostPort(host, port)
	}
	return rest
}

var errPlain = errors.New("refused, as whoever reaches a TCP socket without TLS is root on this machine; give a certificate and a key, or allow it explicitly")

// overTLS puts TLS on a TCP socket, or says that it has none.
func overTLS(l net.Listener, options Options, config *tls.Config) net.Listener {
	if config == nil {
		options.Logger.Warn("a TCP socket is open without TLS: whoever reaches it is root on this machine", "address", l.Addr().String())
		return l
	}
	return tls.NewListener(l, config)
}

// protect makes sockets that systemd opened what they would be had they been
// opened here. On an error all are closed.
func protect(listeners []net.Listener, options Options, config *tls.Config) ([]net.Listener, error) {
	for i, l := range listeners {
		switch {
		case l.Addr().Network() == "unix":
			listeners[i] = mendingListener{l}
		case config == nil && !options.InsecureTCP:
			err := fmt.Errorf("%s: %w", l.Addr(), errPlain)
			for _, l := range listeners {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		default:
			listeners[i] = overTLS(l, options, config)
		}
	}
	return listeners, nil
}
