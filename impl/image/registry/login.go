package registry

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

// LoginSucceeded is what clients are told about a login that the registry accepts.
const LoginSucceeded = "Login Succeeded"

// Login asks the registry at an address (host, or URL of which the host counts;
// empty means the public one) whether it accepts the credentials. identity is a
// token for later logins instead of the password; empty when the registry gives
// none. A refusal is of class unauthenticated.
func (c *Client) Login(ctx context.Context, address string, cred Credential) (identity string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience*c.o.Stall, errSlow)
	defer cancel()
	defer func() { err = slow(ctx, err) }()
	host, err := hostOfAddress(address)
	if err != nil {
		return "", err
	}
	a, err := c.reach(ctx, host, "/v2/")
	if err != nil {
		return "", err
	}
	defer a.close()
	z := c.authorizer(a, cred)
	resp, err := z.ask(ctx, "")
	if err != nil {
		return "", err
	}
	discard(resp)
	if resp.StatusCode == http.StatusUnauthorized {
		show := ""
		if show, identity, err = z.proof(ctx, resp); err != nil {
			return "", err
		}
		if show != "" {
			if resp, err = z.ask(ctx, show); err != nil {
				return "", err
			}
			discard(resp)
		}
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return identity, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return "", fault.Unauthorized("login attempt to %s failed with status: %d %s", a.address("/v2/"), resp.StatusCode, http.StatusText(resp.StatusCode))
	default:
		return "", fault.Unavailable("login attempt to %s failed with status: %d %s", a.address("/v2/"), resp.StatusCode, http.StatusText(resp.StatusCode))
	}
}

// ask requests the registry's base with the value of Authorization, if any.
func (z *authorizer) ask(ctx context.Context, show string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, z.access.address("/v2/"), nil)
	if err != nil {
		return nil, fault.Invalid("invalid registry address: %w", err)
	}
	req.Header.Set("User-Agent", z.userAgent)
	if show != "" {
		req.Header.Set("Authorization", show)
	}
	resp, err := z.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.Unavailable("%w", err)
	}
	return resp, nil
}

// proof makes the value of Authorization that a challenge asks for; empty when
// there is none to make.
func (z *authorizer) proof(ctx context.Context, resp *http.Response) (show, identity string, err error) {
	challenges := parseChallenges(resp.Header.Values("WWW-Authenticate"))
	for _, ch := range challenges {
		if ch.scheme != "bearer" {
			continue
		}
		if z.cred.RegistryToken != "" {
			return "Bearer " + z.cred.RegistryToken, "", nil
		}
		g, err := z.token(ctx, ch, strings.Fields(ch.params["scope"]), true)
		if err != nil {
			return "", "", err
		}
		return "Bearer " + g.token(), g.RefreshToken, nil
	}
	for _, ch := range challenges {
		if ch.scheme == "basic" && z.cred.IdentityToken == "" && z.cred.RegistryToken == "" {
			return "Basic " + z.cred.basic(), "", nil
		}
	}
	return "", "", nil
}

// hostOfAddress is the host of a registry's address as clients write it.
func hostOfAddress(address string) (string, error) {
	if address == "" {
		return hub, nil
	}
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return "", fault.Invalid("invalid registry address")
	}
	switch host := strings.ToLower(u.Host); host {
	case "docker.io", "index.docker.io", "registry.hub.docker.com":
		return hub, nil
	default:
		return u.Host, nil
	}
}
