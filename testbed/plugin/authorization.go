package plugin

import (
	"fmt"
	"os"
	"strings"

	"github.com/docker/go-plugins-helpers/authorization"
)

// gatekeeper allows requests and answers, except where its desk says otherwise:
// Behave of AuthZReq or AuthZRes takes "deny TEXT" too, which refuses what has the
// text in its address or in its body.
type gatekeeper struct{ Desk }

// ServeAuthorization serves an authorization plugin at a unix socket until the
// process ends. Its desk's calls have the method, the request's method and
// address, the user, the answer's status and the body as it came.
func ServeAuthorization(socket, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	l, err := listen(socket)
	if err != nil {
		return err
	}
	return authorization.NewHandler(gatekeeper{NewDesk(dir)}).Serve(l)
}

func (g gatekeeper) AuthZReq(r authorization.Request) authorization.Response {
	return g.decide("AuthZReq", r, r.RequestBody)
}

func (g gatekeeper) AuthZRes(r authorization.Request) authorization.Response {
	return g.decide("AuthZRes", r, r.ResponseBody)
}

func (g gatekeeper) decide(method string, r authorization.Request, body []byte) authorization.Response {
	lie, err := g.note(method, r.RequestMethod, r.RequestURI, fmt.Sprintf("user=%s %d %q", r.User, r.ResponseStatusCode, body))
	if err != nil {
		return authorization.Response{Err: err.Error()}
	}
	if lie {
		return authorization.Response{Msg: "esc\x1b[2J"}
	}
	if text, ok := strings.CutPrefix(g.told(method), "deny "); ok && (strings.Contains(r.RequestURI, text) || strings.Contains(string(body), text)) {
		return authorization.Response{Msg: text + " is not allowed"}
	}
	return authorization.Response{Allow: true}
}
