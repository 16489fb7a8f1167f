package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func open1(t *testing.T, address string, options Options) (net.Listener, error) {
	t.Helper()
	listeners, err := Open(t.Context(), []string{address}, options)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	})
	if len(listeners) != 1 {
		t.Fatalf("%d listeners", len(listeners))
	}
	return listeners[0], nil
}

func TestUnix(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "d.sock")
	l, err := open1(t, "unix://"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	gid := 0
	if group, err := user.LookupGroup(DefaultGroup); err == nil {
		gid, _ = strconv.Atoi(group.Gid)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o660 || stat.Uid != 0 || int(stat.Gid) != gid {
		t.Errorf("%v, owner %d:%d", info.Mode(), stat.Uid, stat.Gid)
	}
	if _, err := open1(t, "unix://"+path, Options{}); err == nil || !strings.Contains(err.Error(), "another daemon listens there") {
		t.Errorf("a second daemon: %v", err)
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first daemon's socket is gone: %v", err)
	} else {
		_ = conn.Close()
	}
	// A daemon that was killed leaves its file.
	l.(mendingListener).Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err = open1(t, "unix://"+path, Options{Group: "0"})
	if err != nil {
		t.Fatalf("the socket of a dead daemon is in the way: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket's file stays: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open1(t, "unix://"+path, Options{}); err == nil || !strings.Contains(err.Error(), "no socket is in the way") {
		t.Errorf("a plain file: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the plain file was touched: %v", err)
	}
}

// TestOldHost sends what clients of Docker 1.9 and older send.
func TestOldHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.sock")
	l, err := open1(t, "unix://"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v", r.Host, r.URL.Path, body, err)
	})}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }() // ends with Close
	for _, test := range []struct{ name, request, want string }{
		{"path", "POST /v1.21/x HTTP/1.1\r\nHost: /var/run/docker.sock\r\nContent-Length: 2\r\n\r\nok", "localhost /v1.21/x ok <nil>"},
		{"long path", "GET /y HTTP/1.1\r\nHost: /" + strings.Repeat("p", 100) + "\r\n\r\n", "localhost /y  <nil>"},
		{"name", "GET /z HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", "d /z  <nil>"},
		{"empty", "GET /z HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", " /z  <nil>"},
		{"other header with a path", "GET /z HTTP/1.1\r\nHost: d\r\nX: /p\r\nConnection: close\r\n\r\n", "d /z  <nil>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") || !strings.HasSuffix(string(answer), test.want) {
				t.Errorf("%q %v, wanted %q", answer, err, test.want)
			}
		})
	}
}

func TestGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.sock")
	if _, err := open1(t, "unix://"+path, Options{Group: "no-such-group-here"}); err == nil || !strings.Contains(err.Error(), "no-such-group-here") {
		t.Errorf("unknown group: %v", err)
	}
	if _, err := open1(t, "unix://"+path, Options{Group: "daemon"}); err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroup("daemon")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid)); got != group.Gid {
		t.Errorf("group %s, wanted %s", got, group.Gid)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	for address, want := range map[string]string{
		"tcp://127.0.0.1:0":  "without TLS",
		"/run/x.sock":        "no scheme",
		"npipe://x":          "unknown scheme npipe://",
		"unix://":            "the path of the socket is missing",
		"fd://":              "systemd passed no such socket",
		"tcp://127.0.0.1:x":  "without TLS",
		"tcp://256.0.0.1:-1": "without TLS",
	} {
		if _, err := open1(t, address, Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v, wanted %q", address, err, want)
		}
	}
	good := filepath.Join(dir, "good.sock")
	if _, err := Open(t.Context(), []string{"unix://" + good, "tcp://127.0.0.1:0"}, Options{}); err == nil {
		t.Error("opened")
	}
	if _, err := os.Stat(good); !os.IsNotExist(err) {
		t.Errorf("the first socket stays open when the second fails: %v", err)
	}
	if _, err := open1(t, "unix://"+good, Options{TLS: &TLS{Cert: "/nonexistent", Key: "/nonexistent"}}); err == nil {
		t.Error("missing certificate accepted")
	}
}

func TestTCP(t *testing.T) {
	l, err := open1(t, "tcp://127.0.0.1:0", Options{InsecureTCP: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := net.SplitHostPort(l.Addr().String()); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, caKey := certificate(t, dir, "ca", nil, nil)
	certificate(t, dir, "server", ca, caKey)
	certificate(t, dir, "client", ca, caKey)
	file := func(name string) string { return filepath.Join(dir, name) }
	l, err := open1(t, "tcp://127.0.0.1:0", Options{TLS: &TLS{Cert: file("server.pem"), Key: file("server.key"), CA: file("ca.pem")}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello") // a refused handshake shows at the client
			_ = conn.Close()
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	pair, err := tls.LoadX509KeyPair(file("client.pem"), file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"with a certificate", &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, true},
		{"without", &tls.Config{RootCAs: roots}, false},
		{"old TLS", &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", l.Addr().String(), test.config)
			var text []byte
			if err == nil {
				text, err = io.ReadAll(conn)
				_ = conn.Close()
			}
			if (err == nil && string(text) == "hello") != test.ok {
				t.Errorf("%q %v", text, err)
			}
		})
	}
}

// certificate makes a certificate and its key as files; without a parent it
// signs itself.
func certificate(t *testing.T, dir, name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// activated is set in the process that TestActivation starts as systemd would.
const activated = "LISTEN_TEST_ADDRESSES"

func TestMain(m *testing.M) {
	addresses := os.Getenv(activated)
	if addresses == "" {
		os.Exit(m.Run())
	}
	listeners, err := Open(context.Background(), strings.Fields(addresses), Options{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(0)
	}
	for _, l := range listeners {
		fmt.Println(l.Addr())
	}
	os.Exit(0)
}

func TestActivation(t *testing.T) {
	dir := t.TempDir()
	var files []*os.File
	for _, name := range []string{"a", "b"} {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		file, err := l.(*net.UnixListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	a, b := filepath.Join(dir, "a")+"\n", filepath.Join(dir, "b")+"\n"
	for addresses, want := range map[string]string{
		"fd://": a + b, "fd://*": a + b, "fd://3": a, "fd://4": b, "fd://4 fd://3": b + a, "fd://web": b,
		"fd://5":        "error: listen on fd://5: systemd passed no such socket\n",
		"fd:// fd://3":  "error: listen on fd://3: systemd passed no such socket\n",
		"fd://nonsense": "error: listen on fd://nonsense: systemd passed no such socket\n",
	} {
		// LISTEN_PID must be the process itself.
		command := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
		command.Env = append(os.Environ(), activated+"="+addresses, "LISTEN_FDS=2", "LISTEN_FDNAMES=api:web")
		command.ExtraFiles = files
		out, err := command.CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%s: %q %v, wanted %q", addresses, out, err, want)
		}
	}
}

// TestActivatedAsOpened: a socket of systemd's is protected and mended as one that
// the daemon opens itself.
func TestActivatedAsOpened(t *testing.T) {
	type filer interface {
		net.Listener
		File() (*os.File, error)
	}
	pass := func(network, address string) *passed {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		file, err := l.(filer).File()
		if err != nil {
			t.Fatal(err)
		}
		return &passed{looked: true, files: []*os.File{file}}
	}
	log := slog.New(slog.DiscardHandler)
	open := func(p *passed, options Options, config *tls.Config) (net.Listener, error) {
		options.Logger = log
		listeners, err := open(t.Context(), "fd://", options, config, p)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = listeners[0].Close() })
		return listeners[0], nil
	}
	if _, err := open(pass("tcp", "127.0.0.1:0"), Options{}, nil); err == nil || !strings.Contains(err.Error(), "without TLS is root") {
		t.Errorf("a TCP socket without TLS: %v", err)
	}
	if _, err := open(pass("tcp", "127.0.0.1:0"), Options{InsecureTCP: true}, nil); err != nil {
		t.Errorf("a TCP socket that may do without TLS: %v", err)
	}
	l, err := open(pass("tcp", "127.0.0.1:0"), Options{}, &tls.Config{MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	if name := fmt.Sprintf("%T", l); name != "*tls.listener" {
		t.Errorf("with TLS it is a %s", name)
	}
	l, err = open(pass("unix", filepath.Join(t.TempDir(), "s")), Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := l.(mendingListener); !ok {
		t.Errorf("a unix socket is a %T: the Host header of old clients is not mended", l)
	}
}
