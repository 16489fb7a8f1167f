package plugin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-connections/tlsconfig"

	"github.com/seed-50ced230/berth/impl/fault"
)

// mediaType is how the protocol's answers are asked for.
const mediaType = "application/vnd.docker.plugins.v1.2+json"

const (
	maxAnswer = 8 << 20 // bytes; a list of some ten thousand volumes
	maxError  = 4 << 10 // bytes of an error's text
	// Pauses between connections: the first, and the longest.
	firstPause, longestPause = 100 * time.Millisecond, 4 * time.Second
)

// Plugin is a program that extends the engine.
type Plugin struct {
	name   string
	where  address
	opts   Options
	client *http.Client

	mu         sync.Mutex
	activation *activation
}

func newPlugin(name string, where address, opts Options) (*Plugin, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, where.network, where.host)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrConnect, err)
			}
			return c, nil
		},
		DisableCompression: true,
		// A kept connection may turn out dead when the request is on its way, and
		// nobody could tell whether the plugin has seen it.
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if where.tls {
		config, err := tlsconfig.Client(tlsconfig.Options{CAFile: where.CAFile, CertFile: where.CertFile, KeyFile: where.KeyFile,
			InsecureSkipVerify: where.InsecureSkipVerify, MinVersion: tls.VersionTLS12})
		if err != nil {
			return nil, fault.Internal("plugin %s: %w", name, err)
		}
		transport.TLSClientConfig = config
	}
	return &Plugin{name: name, where: where, opts: opts, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name is the plugin's name, that of its file.
func (p *Plugin) Name() string { return p.name }

// AnswerError is what a plugin says against a request. Class Internal.
type AnswerError struct {
	Plugin, Method, Text string
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("plugin %s: %s: %s", e.Plugin, e.Method, e.Text)
}

// Unwrap gives the class.
func (e *AnswerError) Unwrap() error { return errdefs.ErrInternal }

// Call sends a request (nil for none) and decodes the answer into out (nil for
// none). Connections are tried again with growing pauses; what was sent is never
// sent twice, since the plugin may have done it. Errors are of class Internal:
// an *AnswerError, one with ErrConnect in it, or that the call took too long.
func (p *Plugin) Call(ctx context.Context, method string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Call)
	defer cancel()
	return p.call(ctx, p.opts.Connect, method, in, out)
}

func (p *Plugin) call(ctx context.Context, patience time.Duration, method string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fault.Internal("plugin %s: %s: %w", p.name, method, err)
		}
	}
	start, pause := time.Now(), firstPause
	for {
		err := p.post(ctx, method, body, out)
		var said *AnswerError
		if err == nil || errors.As(err, &said) {
			return err
		}
		if errors.Is(err, ErrConnect) && ctx.Err() == nil {
			p.passivate()
			if time.Since(start)+pause <= patience {
				select {
				case <-time.After(pause):
					pause = min(2*pause, longestPause)
					continue
				case <-ctx.Done():
				}
			}
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return fault.Internal("plugin %s: %s: no answer within %v", p.name, method, time.Since(start).Round(time.Millisecond))
		}
		return fault.Internal("plugin %s: %s: %w", p.name, method, err)
	}
}

func (p *Plugin) post(ctx context.Context, method string, body []byte, out any) error {
	scheme, host := "http", "plugin"
	if p.where.network == "tcp" {
		host = p.where.host
	}
	if p.where.tls {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+host+p.where.base+"/"+method, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("Content-Type", mediaType)
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return p.decode(method, resp.StatusCode, resp.Status, text, out)
}

// decode reads an answer with its status, whose words are reason.
func (p *Plugin) decode(method string, status int, reason string, text []byte, out any) error {
	text = bytes.TrimSpace(text)
	var said struct{ Err string }
	jsonErr := json.Unmarshal(text, &said)
	if said.Err == "" && status != http.StatusOK {
		if said.Err = string(text); said.Err == "" {
			said.Err = reason
		}
	}
	if said.Err != "" {
		return &AnswerError{p.name, method, Printable(said.Err)}
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if jsonErr == nil {
		jsonErr = json.Unmarshal(text, out)
	}
	if jsonErr != nil {
		return fmt.Errorf("the answer cannot be read: %w", jsonErr)
	}
	return nil
}

// Printable cuts a plugin's text to what a log and a terminal can bear.
func Printable(text string) string {
	if len(text) > maxError {
		text = text[:maxError] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
