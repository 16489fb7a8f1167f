// Package client opens connections to a daemon for the generated client: over
// a unix socket or TCP, with streams handed to the caller's writer as they
// come.
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
	"github.com/go-openapi/strfmt"

	"github.com/seed-50ced230/berth/gen/client/v1_23"
)

// Open gives a client of version 1.23 for a daemon at an address in the form
// of dockerd's -H: unix://PATH or tcp://HOST:PORT, the latter with TLS if
// config is not nil. Nothing is connected yet.
func Open(address string, config *tls.Config) (*v1_23.Berth, error) {
	hc, host, scheme, err := HTTP(address, config)
	if err != nil {
		return nil, err
	}
	rt := transport.NewWithClient(host, v1_23.DefaultBasePath, []string{scheme}, hc)
	rt.Consumers[runtime.JSONMime] = runtime.ConsumerFunc(consumeJSON)
	for _, media := range []string{"application/vnd.docker.raw-stream", "application/x-tar", "application/octet-stream"} {
		rt.Consumers[media] = runtime.ByteStreamConsumer()
	}
	// Logs come without a content type.
	rt.Consumers[runtime.DefaultMime] = runtime.ByteStreamConsumer()
	for _, media := range []string{"application/x-tar", "application/tar"} {
		rt.Producers[media] = runtime.ByteStreamProducer()
	}
	return v1_23.New(rt, strfmt.Default), nil
}

// HTTP gives an HTTP client for a daemon at an address, and the host and the
// scheme of its URLs.
func HTTP(address string, config *tls.Config) (client *http.Client, host, scheme string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, "", "", fmt.Errorf("address of the daemon: %w", err)
	}
	switch u.Scheme {
	case "unix":
		path := strings.TrimPrefix(address, "unix://")
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
		return &http.Client{Transport: &http.Transport{DialContext: dial}}, "localhost", "http", nil
	case "tcp":
		scheme = "http"
		if config != nil {
			scheme = "https"
		}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}, u.Host, scheme, nil
	}
	return nil, "", "", errors.New("address of the daemon: unix:// and tcp:// are known")
}

// consumeJSON decodes a JSON answer, or copies a stream of JSON lines.
func consumeJSON(r io.Reader, into any) error {
	if w, ok := into.(io.Writer); ok {
		_, err := io.Copy(w, r)
		return err
	}
	return runtime.JSONConsumer().Consume(r, into)
}
