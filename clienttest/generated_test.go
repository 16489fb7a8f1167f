package clienttest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// packages is where "make clients" puts the clients in other languages.
const packages = "../build/clients"

// examples are the examples of the generated clients: each runs a container,
// speaks with an exec in it, follows its log, sends it a line and waits for it.
// They take the packages of a directory, an address and a version.
var examples = map[string]func(t *testing.T, packages, address, version string) *exec.Cmd{
	"python": func(_ *testing.T, packages, address, version string) *exec.Cmd {
		cmd := exec.Command(pythonProgram, "-B", "example.py", address, version)
		cmd.Dir = filepath.Join(packages, "python")
		return cmd
	},
	"typescript": func(_ *testing.T, packages, address, version string) *exec.Cmd {
		cmd := exec.Command("node", "example.mjs", address, version)
		cmd.Dir = filepath.Join(packages, "typescript")
		return cmd
	},
	"go": func(t *testing.T, _, address, version string) *exec.Cmd {
		return exec.Command(goExample(t, version), address)
	},
}

// goExample builds the example in Go for a version: its own text with that
// version's packages.
func goExample(t *testing.T, version string) (program string) {
	t.Helper()
	source, err := filepath.Abs("../clients/go/example/main.go")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	pkg := "v" + strings.ReplaceAll(version, ".", "_")
	text := strings.NewReplacer("v1_23", pkg, `"1.23"`, `"`+version+`"`).Replace(string(raw))
	// A model that differs from the newest version's is the version's own.
	if _, err := os.Stat("../gen/" + pkg + "/models/exec_config.go"); err == nil {
		text = strings.Replace(text, "berth/gen/hub/models", "berth/gen/"+pkg+"/models", 1)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "example")
	if out, err := exec.Command("go", "build", "-trimpath", "-overlay", overlay, "-o", program, "../clients/go/example").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// runExample runs one and looks at what it says. certificates is a directory, or
// empty for no TLS.
func runExample(t *testing.T, language, packages, address, version, certificates string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	made := examples[language](t, packages, address, version)
	cmd := exec.CommandContext(ctx, made.Path, made.Args[1:]...)
	cmd.Dir = made.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	if certificates != "" {
		cmd.Env = append(cmd.Env, "DOCKER_CERT_PATH="+certificates)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{"exec stdout HELLO", "exit code 0", "stderr to stderr", "stdout done", "stdout line 1", "stdout line 2", "stdout line 3"}
	// Several lines may come in one frame, which names the stream once.
	text := strings.ReplaceAll(strings.TrimSpace(string(out)), "\nline ", "\nstdout line ")
	got := strings.Split(text, "\n")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the example says:\n%s", out)
	}
}

// TestGeneratedClients runs the examples at every version, over the unix
// socket and over TCP.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	tcp := relay(t, strings.TrimPrefix(engine, "unix://"))
	for language := range examples {
		for i, version := range versions {
			address := engine
			if i%2 == 1 {
				address = tcp
			}
			t.Run(language+"/"+version, func(t *testing.T) {
				t.Parallel()
				runExample(t, language, packages, address, version, "")
			})
		}
	}
}

// TestGeneratedClientsOverTLS runs them against an engine that demands a client's
// certificate, and without one.
func TestGeneratedClientsOverTLS(t *testing.T) {
	t.Parallel()
	certificates, at := authority(t), freePort(t)
	file := func(name string) string { return filepath.Join(certificates, name) }
	e := startCold(t, "berthtest13", "10.213.13.1/24", launch{flags: []string{
		"-H", "tcp://" + at, "--tlsverify", "--tlscacert", file("ca.pem"), "--tlscert", file("cert.pem"), "--tlskey", file("key.pem"),
	}})
	if err := loadBusybox(e.Host()); err != nil {
		t.Fatal(err)
	}
	for language := range examples {
		for _, version := range []string{"1.18", "1.23"} {
			t.Run(language+"/"+version, func(t *testing.T) { runExample(t, language, packages, "tcp://"+at, version, certificates) })
		}
	}
	strangers := authority(t)
	cmd := examples["go"](t, "", "tcp://"+at, "1.23")
	cmd.Env = append(os.Environ(), "DOCKER_CERT_PATH="+strangers)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "certificate") {
		t.Errorf("certificates of another authority: %v %s", err, out)
	}
}

// authority makes a directory with ca.pem, and a certificate of that authority for
// 127.0.0.1, for servers and clients: cert.pem and key.pem.
func authority(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	span := func(c *x509.Certificate) *x509.Certificate {
		c.NotBefore, c.NotAfter, c.BasicConstraintsValid = time.Now().Add(-time.Hour), time.Now().Add(time.Hour), true
		return c
	}
	ca := span(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	write("ca.pem", "CERTIFICATE", der)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := span(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "engine"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if der, err = x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey); err != nil {
		t.Fatal(err)
	}
	write("cert.pem", "CERTIFICATE", der)
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		t.Fatal(err)
	}
	write("key.pem", "PRIVATE KEY", der)
	return dir
}

// TestClientsOfARunningDaemon makes the clients of the document that the engine
// serves, and runs them.
func TestClientsOfARunningDaemon(t *testing.T) {
	t.Parallel()
	tcp := relay(t, strings.TrimPrefix(engine, "unix://"))
	document := strings.Replace(tcp, "tcp://", "http://", 1) + "/v1.19/swagger.json"
	out := filepath.Join(t.TempDir(), "packages")
	clients := func(document string) (string, error) {
		cmd := exec.Command("../tools/clients", document)
		cmd.Env = append(os.Environ(), "OUT="+out)
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	// The directory is the user's own and may have other things in it.
	other := filepath.Join(out, "other")
	if err := os.MkdirAll(other, 0o755); err != nil {
		t.Fatal(err)
	}
	said, err := clients(document)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, language := range []string{"go", "python", "typescript"} {
		if !strings.Contains(said, filepath.Join(out, language)+" is ready\n") {
			t.Errorf("it does not say that %s is ready:\n%s", language, said)
		}
	}
	if said, err := clients(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Errorf("clients of no document:\n%s", said)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("what else is in the directory: %v", err)
	}
	for _, language := range []string{"python", "typescript"} {
		runExample(t, language, out, engine, "1.19", "")
	}
	runModule(t, filepath.Join(out, "go"), tcp)
	if _, err := os.Stat(filepath.Join(out, "python/berth_client/v1_23.py")); err == nil {
		t.Error("there is a client of a version that was not asked for")
	}
}

// askVersion is a program with the client in Go that was made of a document.
const askVersion = `package main

import (
	"fmt"
	"os"

	"berthclient/v1_19"
	"berthclient/v1_19/misc"
)

func main() {
	c := v1_19.NewHTTPClientWithConfig(nil, v1_19.DefaultTransportConfig().WithHost(os.Args[1]).WithSchemes([]string{"http"}))
	version, err := c.Misc.SystemVersion(misc.NewSystemVersionParams())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(version.Payload.Os)
}
`

// runModule builds a program in the module and has it ask the engine.
func runModule(t *testing.T, module, tcp string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(module, "ask"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(module, "ask", "main.go"), []byte(askVersion), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "./ask", strings.TrimPrefix(tcp, "tcp://"))
	cmd.Dir = module
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stdout.String() != "linux" {
		t.Errorf("%v\n%s%s", err, &stdout, &stderr)
	}
}

// relay listens on TCP for clients of a unix socket, as the shared engine has
// no other address, and ends each half of a connection when its peer does.
func relay(t *testing.T, socket string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("unix", socket)
			if err != nil {
				client.Close()
				continue
			}
			go pass(server.(*net.UnixConn), client.(*net.TCPConn))
		}
	}()
	return "tcp://" + listener.Addr().String()
}

// pass copies both ways and closes both connections afterwards.
func pass(server *net.UnixConn, client *net.TCPConn) {
	defer server.Close()
	defer client.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(server, client)
		_ = server.CloseWrite()
	}()
	_, _ = io.Copy(client, server)
	_ = client.CloseWrite()
	<-ended
}
