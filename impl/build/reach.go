package build

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/seed-50ced230/berth/impl/fault"
)

// connectPatience bounds how long a connection for a download may take to come up.
const connectPatience = 30 * time.Second

// fetchKey is where a context holds the function of WithFetch.
type fetchKey struct{}

// WithFetch has builds with this context ask before they fetch an address for ADD
// or remote: an error refuses it.
func WithFetch(ctx context.Context, permit func(address string) error) context.Context {
	return context.WithValue(ctx, fetchKey{}, permit)
}

// Permitted asks the function of WithFetch, if there is one.
func Permitted(ctx context.Context, address string) error {
	if permit, ok := ctx.Value(fetchKey{}).(func(string) error); ok {
		return permit(address)
	}
	return nil
}

// httpClient fetches for ADD and remote. With denied networks the address is
// looked at when the connection is made, so that neither a name nor a redirect
// leads there; a proxy of the daemon's environment, which would look up names
// itself, is not used then.
func (b *Builder) httpClient() *http.Client {
	if len(b.Denied) == 0 {
		return http.DefaultClient
	}
	return &http.Client{Transport: b.transport()}
}

func (b *Builder) transport() *http.Transport {
	return &http.Transport{DialContext: b.dialer().DialContext, TLSHandshakeTimeout: connectPatience, DisableKeepAlives: true}
}

func (b *Builder) dialer() *net.Dialer {
	return &net.Dialer{Timeout: connectPatience, Control: func(_, address string, _ syscall.RawConn) error { return b.allowed(address) }}
}

// allowed refuses an address with a port that lies in a denied network.
func (b *Builder) allowed(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fault.Invalid("%s is no address: %w", address, err)
	}
	ip := at.Addr().Unmap().WithZone("")
	for _, p := range b.Denied {
		if p.Contains(ip) {
			return fault.Invalid("%s is in %s, which this engine does not let builds reach (--build-deny)", ip, p)
		}
	}
	return nil
}

// gitProxy serves, on a loopback port, an HTTP proxy that makes the connections
// of git under the same rule, those of redirects and submodules too. The
// address has a password in it, so that nobody else uses it.
func (b *Builder) gitProxy() (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fault.Internal("listen for git's connections: %w", err)
	}
	secret := rand.Text()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("git:"+secret))
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Header.Del("Proxy-Authorization")
			r.Out.Host = r.In.Host
		},
		Transport: b.transport(),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusForbidden)
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	server := &http.Server{ReadHeaderTimeout: connectPatience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Proxy-Authorization") != want:
			w.Header().Set("Proxy-Authenticate", "Basic realm=git")
			http.Error(w, "only for the engine's own git", http.StatusProxyAuthRequired)
		case r.Method == http.MethodConnect:
			b.tunnel(w, r)
		case !r.URL.IsAbs():
			http.Error(w, "this is a proxy", http.StatusBadRequest)
		default:
			forward.ServeHTTP(w, r)
		}
	})}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	go func() {
		defer close(done)
		_ = server.Serve(l) // until stop
	}()
	u := url.URL{Scheme: "http", User: url.UserPassword("git", secret), Host: l.Addr().String()}
	return u.String(), func() {
		cancel()
		_ = server.Close()
		<-done
	}, nil
}

// tunnel connects git to a server of HTTPS.
func (b *Builder) tunnel(w http.ResponseWriter, r *http.Request) {
	far, err := b.dialer().DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	defer far.Close()
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	stop := context.AfterFunc(r.Context(), func() { near.Close(); far.Close() })
	defer stop()
	if _, err := io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	ended := make(chan struct{}, 2)
	go func() { _, _ = io.Copy(far, buffered); ended <- struct{}{} }()
	go func() { _, _ = io.Copy(near, far); ended <- struct{}{} }()
	<-ended
	near.Close()
	far.Close()
	<-ended
}
