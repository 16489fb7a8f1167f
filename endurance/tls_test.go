package endurance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50ced230/berth/testbed/daemon"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue writes NAME.pem and NAME.key into dir; a nil authority signs itself.
func (a *authority) issue(t *testing.T, dir, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: a == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent := a
	if parent == nil {
		parent = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key.Public(), parent.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// A client with a certificate of the authority is served over TLS 1.2 and 1.3;
// others are not. SIGHUP brings new files in: then the new authority's clients are
// served and the old one's are not. Broken files change nothing.
func TestTLSReload(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	var none *authority
	old := none.issue(t, dir, "ca")
	old.issue(t, dir, "server")
	const address = "127.0.0.1:2376"
	e := start(t, options{cold: true, flags: []string{"-H", "tcp://" + address, "--tlsverify",
		"--tlscacert", at("ca.pem"), "--tlscert", at("server.pem"), "--tlskey", at("server.key")}})

	clients := t.TempDir()
	old.issue(t, clients, "old")
	stranger := none.issue(t, clients, "stranger-ca")
	stranger.issue(t, clients, "stranger")
	ping := func(server *authority, client string, least, most uint16) error {
		config := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: least, MaxVersion: most}
		config.RootCAs.AddCert(server.cert)
		if client != "" {
			pair, err := tls.LoadX509KeyPair(filepath.Join(clients, client+".pem"), filepath.Join(clients, client+".key"))
			if err != nil {
				t.Fatal(err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		conn, err := e.dial(address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		config.ServerName = "127.0.0.1"
		c := tls.Client(conn, config)
		if _, err := fmt.Fprint(c, "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			return err
		}
		text, err := io.ReadAll(c)
		if err == nil && !strings.HasPrefix(string(text), "HTTP/1.1 200 OK") {
			err = fmt.Errorf("%s", text)
		}
		return err
	}
	check := func(what string, err error, served bool) {
		t.Helper()
		if (err == nil) != served {
			t.Errorf("%s: served is to be %v: %v", what, served, err)
		}
	}
	check("TLS 1.3", ping(old, "old", tls.VersionTLS13, tls.VersionTLS13), true)
	check("TLS 1.2", ping(old, "old", tls.VersionTLS12, tls.VersionTLS12), true)
	check("TLS 1.1", ping(old, "old", tls.VersionTLS10, tls.VersionTLS11), false)
	check("without a certificate", ping(old, "", 0, 0), false)
	check("a stranger", ping(old, "stranger", 0, 0), false)

	keep, err := os.ReadFile(at("server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("server.pem"), keep[:len(keep)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	signal(t, e.Pid(), syscall.SIGHUP)
	eventually(t, "the broken file is reported", func() bool { return e.logged("the TLS files are not reloaded") })
	check("after a broken file", ping(old, "old", 0, 0), true)

	next := none.issue(t, dir, "ca")
	next.issue(t, dir, "server")
	next.issue(t, clients, "next")
	signal(t, e.Pid(), syscall.SIGHUP)
	eventually(t, "the new files are reported", func() bool { return e.logged("the TLS files are reloaded") })
	check("the new authority's client", ping(next, "next", 0, 0), true)
	check("the old authority's client", ping(next, "old", 0, 0), false)
}

// A TCP socket without TLS is refused unless it is asked for by name.
func TestPlainTCP(t *testing.T) {
	e := prepare(t, options{cold: true, flags: []string{"-H", "tcp://127.0.0.1:2375"}})
	if d, err := daemon.Start(t.Context(), e.command); err == nil {
		e.Daemon = d
		t.Fatal("berthd serves plain TCP without having been allowed to")
	} else if !strings.Contains(err.Error(), "without TLS is root") {
		t.Fatal(err)
	}
	e.command.Args = append(e.command.Args, "--allow-plain-tcp")
	e.comesUp()
	conn, err := e.dial("127.0.0.1:2375")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if !e.logged("is open without TLS") {
		t.Error("the log does not warn")
	}
}
