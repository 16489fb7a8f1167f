package registry

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distribution/reference"
)

// certificate makes one that signs itself, for servers and clients of
// registry.test, as PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry.test"}, DNSNames: []string{"registry.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}

func TestCertificatesOfAHost(t *testing.T) {
	serverCert, serverKey := certificate(t)
	clientCert, clientKey := certificate(t)
	pair, err := tls.X509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(clientCert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = nil
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()

	for name, c := range map[string]struct {
		files    map[string][]byte
		insecure bool
		ok       bool
		broken   bool
	}{
		"authority and client":          {map[string][]byte{"ca.crt": serverCert, "client.cert": clientCert, "client.key": clientKey}, false, true, false},
		"no authority":                  {map[string][]byte{"client.cert": clientCert, "client.key": clientKey}, false, false, false},
		"no authority, but insecure":    {map[string][]byte{"client.cert": clientCert, "client.key": clientKey}, true, true, false},
		"no client certificate":         {map[string][]byte{"ca.crt": serverCert}, false, false, false},
		"another's authority":           {map[string][]byte{"ca.crt": clientCert, "client.cert": clientCert, "client.key": clientKey}, false, false, false},
		"client certificate, no key":    {map[string][]byte{"ca.crt": serverCert, "client.cert": clientCert}, false, false, true},
		"authority that is none":        {map[string][]byte{"ca.crt": []byte("nonsense")}, false, false, true},
		"files that are something else": {map[string][]byte{"ca.pem": []byte("nonsense"), "README": nil}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "registry.test:5000"), 0o700); err != nil {
				t.Fatal(err)
			}
			for file, data := range c.files {
				if err := os.WriteFile(filepath.Join(dir, "registry.test:5000", file), data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			client, err := New(Options{CertsDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			config, err := client.tls("registry.test:5000", c.insecure)
			if (err != nil) != c.broken {
				t.Fatalf("read: %v", err)
			}
			if c.broken {
				return
			}
			config.ServerName = "registry.test"
			transport := &http.Transport{TLSClientConfig: config}
			defer transport.CloseIdleConnections()
			resp, err := (&http.Client{Transport: transport}).Get(server.URL)
			if err == nil {
				resp.Body.Close()
			}
			if (err == nil) != c.ok {
				t.Errorf("connection: %v", err)
			}
		})
	}
}

func TestInsecureRegistries(t *testing.T) {
	c, err := New(Options{Insecure: []string{"registry.test", "other.test:5000", "10.1.0.0/16"}, Mirrors: []string{"http://mirror.test:5000", "https://safe.test"}})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.10:5000": true, "[::1]:5000": true, "registry.test": true, "REGISTRY.test:1": true,
		"other.test:5000": true, "other.test": false, "10.1.2.3:5000": true, "10.2.2.3": false, "[2001:db8::1]:5000": false,
		"mirror.test:5000": true,
	} {
		if c.insecure(t.Context(), host) != want {
			t.Errorf("%s: insecure is not %v", host, want)
		}
	}
	for name, want := range map[string]string{"busybox": "mirror.test:5000 safe.test registry-1.docker.io", "a.test/busybox": "a.test"} {
		named, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.Hosts(named), " "); got != want {
			t.Errorf("hosts of %s: %s", name, got)
		}
	}
	for _, o := range []Options{{Insecure: []string{"10.0.0.0/99"}}, {Mirrors: []string{"mirror.test"}}, {Mirrors: []string{"https://a:b@mirror.test"}}, {Mirrors: []string{"https://mirror.test/path"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
