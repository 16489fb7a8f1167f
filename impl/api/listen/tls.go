package listen

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"github.com/docker/go-connections/tlsconfig"
)

// TLS names the files of a TLS server. The least version is 1.2.
type TLS struct {
	Cert, Key string // PEM files
	// CA, if not empty, is the PEM file of the authorities one of which must
	// have signed a client's certificate; without it clients need none.
	CA string

	// present is what the next handshake uses.
	present atomic.Pointer[tls.Config]
}

// Reload reads the files again. Connections that are made from now on use what
// they hold; those that are open stay as they are. After an error everything
// stays as it was.
func (t *TLS) Reload() error {
	config, err := t.load()
	if err != nil {
		return err
	}
	t.present.Store(config)
	return nil
}

// open loads the files and gives the configuration of a listener, which asks
// for the present one at every handshake. A nil TLS gives a nil configuration.
func (t *TLS) open() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	if err := t.Reload(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return t.present.Load(), nil
		},
	}, nil
}

func (t *TLS) load() (*tls.Config, error) {
	options := tlsconfig.Options{CertFile: t.Cert, KeyFile: t.Key, MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		options.CAFile = t.CA
		options.ClientAuth = tls.RequireAndVerifyClientCert
		options.ExclusiveRootPools = true
	}
	config, err := tlsconfig.Server(options)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate, key or authorities: %w", err)
	}
	// A hijacked connection needs HTTP/1.1.
	config.NextProtos = []string{"http/1.1"}
	// A session of before a reload must not resume without the present
	// authorities having seen its certificate.
	config.SessionTicketsDisabled = true
	return config, nil
}
