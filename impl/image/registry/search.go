package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Found is a repository that a search found.
type Found struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Stars       int64  `json:"star_count"`
	Official    bool   `json:"is_official"`
	Automated   bool   `json:"is_automated"`
	// Trusted is an older word for Automated.
	Trusted bool `json:"is_trusted"`
}

// Bounds of a search.
const (
	maxIndexAnswer = 4 << 20 // bytes
	maxFound       = 100     // repositories taken of a catalog
	maxCatalog     = 20_000  // repositories looked at
)

// indexHost is where the public index answers searches.
const indexHost = "index.docker.io"

// Search asks an index for a term: that of the host in front of the term, or
// the public one (GET /v1/search of the "Docker Registry v1 API"). A registry
// without an index is looked through by its catalog; then the name, with the
// host in front, is all that is known.
func (c *Client) Search(ctx context.Context, term string, cred Credential) (found []Found, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience*c.o.Stall, errSlow)
	defer cancel()
	defer func() { err = slow(ctx, err) }()
	host, words := splitTerm(term)
	if words == "" && host == "" {
		return nil, fault.Invalid("search needs a term")
	}
	if host == "" {
		host = indexHost
	}
	a, err := c.reach(ctx, host, "/v1/_ping")
	if err != nil {
		return nil, err
	}
	defer a.close()
	found, ok, err := c.searchIndex(ctx, a, words, cred)
	if err != nil || ok {
		return found, err
	}
	return c.searchCatalog(ctx, a, words, cred)
}

// splitTerm cuts a registry's host off a term, by the rule of references: the
// part before the first slash is one if it has a dot or a colon or is localhost.
func splitTerm(term string) (host, words string) {
	first, rest, ok := strings.Cut(term, "/")
	if !ok || !strings.ContainsAny(first, ".:") && first != "localhost" {
		return "", strings.TrimPrefix(term, "library/")
	}
	switch first {
	case "docker.io", indexHost:
		return "", strings.TrimPrefix(rest, "library/")
	}
	return first, rest
}

// searchIndex asks an index; false when the host has none.
func (c *Client) searchIndex(ctx context.Context, a *access, words string, cred Credential) ([]Found, bool, error) {
	at := a.address("/v1/search?" + url.Values{"q": {words}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, false, fault.Invalid("invalid registry address: %w", err)
	}
	req.Header.Set("User-Agent", c.o.UserAgent)
	if cred.Username != "" && cred.IdentityToken == "" {
		// An index of this protocol asks for nothing: it takes what it is shown.
		req.SetBasicAuth(cred.Username, cred.Password)
	}
	resp, err := (&http.Client{Transport: a.patient(), CheckRedirect: checkRedirect}).Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		return nil, false, fault.Unavailable("%w", withoutQuery(err))
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return nil, false, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		if len(parseChallenges(resp.Header.Values("WWW-Authenticate"))) > 0 && a.host != indexHost {
			return nil, false, nil // of a registry that answers so on every path
		}
		fallthrough
	default:
		return nil, false, fault.Unavailable("Unexpected status code %d", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxIndexAnswer+1))
	if err != nil {
		return nil, false, fault.Unavailable("read the answer of index %s: %w", a.host, err)
	}
	if len(raw) > maxIndexAnswer {
		return nil, false, fault.Unavailable("index %s answered more than %d bytes", a.host, maxIndexAnswer)
	}
	var answer struct {
		Results []Found `json:"results"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, false, fault.Unavailable("index %s: %w", a.host, err)
	}
	for i := range answer.Results {
		f := &answer.Results[i]
		f.Automated = f.Automated || f.Trusted
		f.Trusted = f.Automated
	}
	return answer.Results, true, nil
}

// errEnough ends the reading of a catalog.
var errEnough = errors.New("enough")

// searchCatalog looks for the words in the names of a registry's repositories.
func (c *Client) searchCatalog(ctx context.Context, a *access, words string, cred Credential) ([]Found, error) {
	reg, err := remote.NewRegistry(a.host)
	if err != nil {
		return nil, fault.Invalid("invalid registry address: %w", err)
	}
	reg.PlainHTTP = a.plain
	reg.MaxMetadataBytes = maxManifest
	reg.Client = c.authorizer(a, cred)
	var names []string
	looked := 0
	err = reg.Repositories(ctx, "", func(page []string) error {
		for _, name := range page {
			if _, err := reference.WithName(a.host + "/" + name); err == nil && strings.Contains(name, strings.ToLower(words)) {
				names = append(names, name)
			}
		}
		if looked += max(1, len(page)); looked > maxCatalog || len(names) >= maxFound {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		var resp *errcode.ErrorResponse
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case classified(err):
			return nil, err
		case errors.As(err, &resp):
			return nil, fault.Unavailable("registry %s has no index, and its catalog answers %d %s", a.host, resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		return nil, fault.Unavailable("registry %s has no index, and its catalog cannot be read: %w", a.host, err)
	}
	slices.Sort(names)
	found := make([]Found, 0, len(names))
	for _, name := range names[:min(len(names), maxFound)] {
		found = append(found, Found{Name: a.host + "/" + name})
	}
	return found, nil
}
