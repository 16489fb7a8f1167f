package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/seed-50ced230/berth/impl/fault"
)

// clientID is what token services know engines by.
const clientID = "docker"

// authorizer sends requests to one registry and shows it the credentials that
// it asks for: basic, or a token that the service named in the challenge gives
// for them (the distribution project's "Token Authentication Specification"
// and "OAuth2 Token Authentication"). It is used instead of oras-go's own,
// which refuses token services with private addresses: many companies have
// theirs there.
type authorizer struct {
	client    *http.Client
	access    *access
	cred      Credential
	userAgent string
	timeout   time.Duration // of a request to a token service

	mu     sync.Mutex
	basic  bool              // the registry wants it
	tokens map[string]string // by scopes
}

func (c *Client) authorizer(a *access, cred Credential) *authorizer {
	return &authorizer{
		client:    &http.Client{Transport: a.patient(), CheckRedirect: checkRedirect},
		access:    a,
		cred:      cred,
		userAgent: c.o.UserAgent,
		timeout:   patience * c.o.Stall,
		tokens:    map[string]string{},
	}
}

// maxRedirects is how many redirects are followed.
const maxRedirects = 10

// checkRedirect takes the credentials away once a redirect has left the place
// that they were for: net/http alone would show them to other ports.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	for _, earlier := range append(via[1:len(via):len(via)], req) {
		if !sameOrigin(via[0].URL, earlier.URL) {
			req.Header.Del("Authorization")
		}
	}
	return nil
}

// checkTokenRedirect is for requests whose body or query is secret.
func checkTokenRedirect(req *http.Request, via []*http.Request) error {
	if !sameOrigin(via[0].URL, req.URL) {
		return errors.New("the token service redirects to another host")
	}
	return checkRedirect(req, via)
}

func sameOrigin(a, b *url.URL) bool {
	return strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(a.Host, b.Host)
}

// Do sends a request, and once more with credentials when they are asked for.
func (z *authorizer) Do(original *http.Request) (*http.Response, error) {
	ctx := original.Context()
	scopes := auth.GetAllScopesForHost(ctx, original.URL.Host)
	req := original.Clone(ctx)
	req.Header.Set("User-Agent", z.userAgent)
	if req.Header.Get("Authorization") == "" {
		z.authorize(req, strings.Join(scopes, " "))
	}
	resp, err := z.send(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !sameOrigin(req.URL, resp.Request.URL) {
		return resp, err
	}
	again := original.Clone(ctx)
	again.Header.Set("User-Agent", z.userAgent)
	if again.Body != nil && again.Body != http.NoBody {
		if again.GetBody == nil {
			return resp, nil
		}
		if again.Body, err = again.GetBody(); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	shown := strings.HasPrefix(req.Header.Get("Authorization"), "Basic ")
	ok, err := z.answer(ctx, resp, scopes, shown)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if !ok {
		return resp, nil
	}
	discard(resp)
	again.Header.Del("Authorization")
	z.authorize(again, strings.Join(scopes, " "))
	return z.send(again)
}

func (z *authorizer) send(req *http.Request) (*http.Response, error) {
	resp, err := z.client.Do(req)
	return resp, withoutQuery(err)
}

// authorize shows what the registry asked for before.
func (z *authorizer) authorize(req *http.Request, scopes string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	switch token := z.tokens[scopes]; {
	case token != "":
		req.Header.Set("Authorization", "Bearer "+token)
	case z.cred.RegistryToken != "":
		req.Header.Set("Authorization", "Bearer "+z.cred.RegistryToken)
	case z.basic:
		req.Header.Set("Authorization", "Basic "+z.cred.basic())
	}
}

// basic is the name and the password in the form of RFC 7617.
func (c Credential) basic() string {
	return base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))
}

// answer gets what a challenge demands; false when there is nothing to answer
// with, or when the name and the password have been shown and refused. Whether
// another request at the same time has shown them says nothing of this one.
func (z *authorizer) answer(ctx context.Context, resp *http.Response, scopes []string, shown bool) (bool, error) {
	challenges := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	for _, ch := range challenges {
		if ch.scheme != "bearer" || z.cred.RegistryToken != "" {
			continue
		}
		wanted := scopes
		if more := ch.params["scope"]; more != "" {
			wanted = auth.CleanScopes(append(strings.Fields(more), scopes...))
		}
		grant, err := z.token(ctx, ch, wanted, false)
		if err != nil {
			return false, err
		}
		z.mu.Lock()
		z.tokens[strings.Join(scopes, " ")] = grant.token()
		z.mu.Unlock()
		return true, nil
	}
	for _, ch := range challenges {
		if ch.scheme == "basic" && z.cred.Username != "" && z.cred.IdentityToken == "" && !shown {
			z.mu.Lock()
			z.basic = true
			z.mu.Unlock()
			return true, nil
		}
	}
	return false, nil
}

// grant is what a token service answers.
type grant struct {
	Token        string `json:"token"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func (g *grant) token() string {
	if g.Token != "" {
		return g.Token
	}
	return g.AccessToken
}

// maxGrant bounds a token service's answer, bytes.
const maxGrant = 1 << 20

// token asks the service of a bearer challenge for a token. offline asks for a
// token for later logins, too.
func (z *authorizer) token(ctx context.Context, ch challenge, scopes []string, offline bool) (*grant, error) {
	realm, err := url.Parse(ch.params["realm"])
	if err != nil || realm.Host == "" || realm.User != nil || realm.Scheme != "https" && realm.Scheme != "http" {
		return nil, fault.Unavailable("registry %s names no usable token service", z.access.host)
	}
	if realm.Scheme == "http" && !z.access.plain {
		return nil, fault.Unavailable("registry %s uses TLS, but its token service %s does not", z.access.host, realm.Host)
	}
	req, err := z.tokenRequest(ctx, realm, ch.params["service"], scopes, offline)
	if err != nil {
		return nil, err
	}
	client := *z.client
	client.CheckRedirect, client.Timeout = checkTokenRedirect, z.timeout
	resp, err := client.Do(req)
	if err != nil {
		return nil, fault.Unavailable("%w", withoutQuery(err))
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxGrant+1))
	if err != nil {
		return nil, fault.Unavailable("read the answer of token service %s: %w", realm.Host, err)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusBadRequest:
		return nil, fault.Unauthorized("%s", refusal(raw))
	case resp.StatusCode/100 != 2:
		return nil, fault.Unavailable("token service %s answered %d %s", realm.Host, resp.StatusCode, http.StatusText(resp.StatusCode))
	case len(raw) > maxGrant:
		return nil, fault.Unavailable("token service %s answered more than %d bytes", realm.Host, maxGrant)
	}
	var g grant
	if err := json.Unmarshal(raw, &g); err != nil || g.token() == "" {
		// The cause may quote the answer, and so a token: it stays here.
		return nil, fault.Unavailable("token service %s gave no token", realm.Host)
	}
	return &g, nil
}

func (z *authorizer) tokenRequest(ctx context.Context, realm *url.URL, service string, scopes []string, offline bool) (*http.Request, error) {
	var req *http.Request
	var err error
	if z.cred.IdentityToken != "" {
		form := url.Values{
			"grant_type": {"refresh_token"}, "refresh_token": {z.cred.IdentityToken},
			"service": {service}, "client_id": {clientID}, "scope": {strings.Join(scopes, " ")},
		}
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, realm.String(), strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	} else {
		query := realm.Query()
		if service != "" {
			query.Set("service", service)
		}
		for _, s := range scopes {
			query.Add("scope", s)
		}
		if offline {
			query.Set("offline_token", "true")
			query.Set("client_id", clientID)
		}
		if z.cred.Username != "" {
			query.Set("account", z.cred.Username)
		}
		at := *realm
		at.RawQuery = query.Encode()
		req, err = http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err == nil && z.cred.Username != "" {
			req.Header.Set("Authorization", "Basic "+z.cred.basic())
		}
	}
	if err != nil {
		return nil, fault.Unavailable("token service of %s: %w", z.access.host, err)
	}
	req.Header.Set("User-Agent", z.userAgent)
	return req, nil
}

// refusal is what a registry or token service says about a refusal, as one
// short line.
func refusal(raw []byte) string {
	var body struct {
		Errors []struct {
			Message string `json:"message"`
		} `json:"errors"`
		Details string `json:"details"`
	}
	text := ""
	if json.Unmarshal(raw, &body) == nil {
		if text = body.Details; len(body.Errors) > 0 && body.Errors[0].Message != "" {
			text = body.Errors[0].Message
		}
	}
	if text = oneLine(text); text == "" {
		text = "authentication required"
	}
	return "unauthorized: " + text
}

// maxText bounds what a registry may say to a user, bytes.
const maxText = 500

// oneLine is a registry's text without what would play tricks on a terminal.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// withoutQuery takes the query out of an error's URL: it may name an account, or
// be the signature that lets one read a blob.
func withoutQuery(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		at, _, _ := strings.Cut(ue.URL, "?")
		return &url.Error{Op: ue.Op, URL: at, Err: ue.Err}
	}
	return err
}

// discard ends a response whose body nobody wants, so that its connection can
// be used again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}
