package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// websocketMessage bounds one message of a client, in bytes: a terminal's
// paste may well be larger than the library's 32 KiB.
const websocketMessage = 4 << 20

// WebsocketConn is a websocket as bytes. Read and Write may be called at the
// same time by two goroutines.
type WebsocketConn struct {
	ws     *websocket.Conn
	ctx    context.Context
	cancel context.CancelFunc
	rest   io.Reader // what is left of the message being read
}

// WantsWebsocket says whether a request is a handshake of RFC 6455, section 4.2.1.
func WantsWebsocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-WebSocket-Key") != "" && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade")
}

// Websocket accepts the handshake of RFC 6455 and gives the connection to the
// caller, who must close it. On an error, a [Told], the client has its answer.
//
// A page of a foreign origin is refused, unless the answer's
// Access-Control-Allow-Origin (set by the edge) names it: whoever can reach
// the daemon's port from a browser must not hand containers to every site.
func Websocket(w http.ResponseWriter, r *http.Request) (*WebsocketConn, error) {
	options := &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled}
	switch allowed := w.Header().Get("Access-Control-Allow-Origin"); allowed {
	case "":
	case "*":
		options.InsecureSkipVerify = true
	default:
		if u, err := url.Parse(allowed); err == nil && u.Host != "" {
			options.OriginPatterns = []string{u.Host}
		}
	}
	ws, err := websocket.Accept(w, r, options)
	if err != nil {
		return nil, &Told{Err: fmt.Errorf("accept the websocket: %w", err)}
	}
	ws.SetReadLimit(websocketMessage)
	// The request's context ends with the handler's knowledge of the
	// connection, not with the connection.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	return &WebsocketConn{ws: ws, ctx: ctx, cancel: cancel}, nil
}

// Read concatenates the client's messages, text and binary alike. io.EOF is
// the client's orderly close.
func (c *WebsocketConn) Read(p []byte) (int, error) {
	for {
		if c.rest == nil {
			_, message, err := c.ws.Reader(c.ctx)
			if err != nil {
				return 0, closed(err)
			}
			c.rest = message
		}
		n, err := c.rest.Read(p)
		if errors.Is(err, io.EOF) {
			c.rest, err = nil, nil
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func closed(err error) error {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return io.EOF
	}
	return fmt.Errorf("read from the websocket: %w", err)
}

// Write sends p as one message: of text, as the engines of API 1.23 did and
// browsers expect, or binary where p is no UTF-8, which a text message must not
// hold.
func (c *WebsocketConn) Write(p []byte) (int, error) {
	kind := websocket.MessageText
	if !utf8.Valid(p) {
		kind = websocket.MessageBinary
	}
	if err := c.ws.Write(c.ctx, kind, p); err != nil {
		return 0, fmt.Errorf("write to the websocket: %w", err)
	}
	return len(p), nil
}

// Close sends the closing handshake and frees the connection. A Read in
// progress returns.
func (c *WebsocketConn) Close() error {
	defer c.cancel()
	return c.ws.Close(websocket.StatusNormalClosure, "")
}
