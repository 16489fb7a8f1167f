// Package authz asks authorization plugins whether a request may be served and
// whether its answer may go out, by the protocol of Docker Engine 1.10 to 1.12
// (AuthZPlugin.AuthZReq and AuthZPlugin.AuthZRes of plugins that speak "authz").
//
// Every plugin must allow; they are asked in order, and the first that does not
// ends it. A plugin that is dead, slow or wrong allows nothing.
package authz

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/plugin"
)

// MaxBody is the size up to which plugins see bodies, bytes.
const MaxBody = 1 << 20

// protocol is what such a plugin says that it speaks.
const protocol = "authz"

// Bounds of the questions to one plugin: a connection is tried again for
// connect, and a question with its answer takes no longer than call.
const (
	connect = 2 * time.Second
	call    = 10 * time.Second
)

// Chain are the plugins of a daemon, in the order in which they are asked. It is
// safe for concurrent use.
type Chain struct {
	names   []string
	plugins *plugin.Registry
	call    time.Duration
}

// New makes a chain of plugins by name; they are looked for at the first
// request. sockets and specs are as in plugin.Options.
func New(names []string, sockets string, specs []string) *Chain {
	return &Chain{names: names, call: call, plugins: plugin.New(plugin.Options{Sockets: sockets, Specs: specs, Connect: connect, Call: call})}
}

// Question is what plugins learn of a request.
type Question struct {
	Method string
	// URI is the path that is served, with its query: what the client wrote may
	// hold dots, slashes and escapes that lead elsewhere.
	URI     string
	Headers http.Header
	// Body is that of the request as the engine reads it; nil if plugins do not
	// see it.
	Body []byte
	// Peers are the certificates that the client gave, its own first.
	Peers []*x509.Certificate
}

// message is the question and the answer's head in the protocol's form.
type message struct {
	User                    string            `json:"User,omitempty"`
	UserAuthNMethod         string            `json:"UserAuthNMethod,omitempty"`
	RequestMethod           string            `json:"RequestMethod,omitempty"`
	RequestURI              string            `json:"RequestUri,omitempty"`
	RequestBody             []byte            `json:"RequestBody,omitempty"`
	RequestHeaders          map[string]string `json:"RequestHeaders,omitempty"`
	RequestPeerCertificates [][]byte          `json:"RequestPeerCertificates,omitempty"`
	ResponseStatusCode      int               `json:"ResponseStatusCode,omitempty"`
	ResponseBody            []byte            `json:"ResponseBody,omitempty"`
	ResponseHeaders         map[string]string `json:"ResponseHeaders,omitempty"`
}

// Exchange is a request that all plugins have allowed.
type Exchange struct {
	chain   *Chain
	message message
}

// Request asks about a request. Classes: PermissionDenied (a plugin does not
// allow it), Internal (a plugin cannot be asked; the request is not served then).
func (c *Chain) Request(ctx context.Context, q Question) (*Exchange, error) {
	x := &Exchange{chain: c, message: message{
		RequestMethod: q.Method, RequestURI: q.URI, RequestBody: q.Body, RequestHeaders: flat(q.Headers),
	}}
	if len(q.Peers) > 0 {
		x.message.User, x.message.UserAuthNMethod = q.Peers[0].Subject.CommonName, "TLS"
	}
	for _, peer := range q.Peers {
		x.message.RequestPeerCertificates = append(x.message.RequestPeerCertificates, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: peer.Raw}))
	}
	return x, c.ask(ctx, "AuthZPlugin.AuthZReq", x.message)
}

// Response asks about an answer before its first byte goes out; body is nil
// where plugins do not see it. Classes as with Request.
func (x *Exchange) Response(ctx context.Context, status int, headers http.Header, body []byte) error {
	m := x.message
	m.ResponseStatusCode, m.ResponseHeaders, m.ResponseBody = status, flat(headers), body
	return x.chain.ask(ctx, "AuthZPlugin.AuthZRes", m)
}

func (c *Chain) ask(ctx context.Context, method string, m message) error {
	for _, name := range c.names {
		var answer struct {
			Allow bool
			Msg   string
		}
		if err := c.ask1(ctx, name, method, m, &answer); err != nil {
			return fault.Internal("plugin %s failed with error: %s: %s", name, method, cause(err))
		}
		if !answer.Allow {
			return fault.Forbidden("authorization denied by plugin %s: %s", name, plugin.Printable(answer.Msg))
		}
	}
	return nil
}

func (c *Chain) ask1(ctx context.Context, name, method string, m message, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, c.call)
	defer cancel()
	p, err := c.plugins.Get(ctx, name, protocol)
	if err != nil {
		return err
	}
	return p.Call(ctx, method, m, answer)
}

// cause is what a plugin said, or why it could not be asked. The error itself
// may have a class, such as NotFound of a plugin, that is not the request's.
func cause(err error) string {
	var said *plugin.AnswerError
	if errors.As(err, &said) {
		return said.Text
	}
	return fmt.Sprint(err)
}

// flat gives headers as the protocol has them, one value each, without those
// that hold credentials.
func flat(headers http.Header) map[string]string {
	m := make(map[string]string, len(headers))
	for name, values := range headers {
		switch name {
		case "X-Registry-Auth", "X-Registry-Config", "Authorization", "Proxy-Authorization", "Cookie":
			continue
		}
		m[name] = strings.Join(values, ", ")
	}
	return m
}
