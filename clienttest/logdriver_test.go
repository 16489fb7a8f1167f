package clienttest

import (
	"bufio"
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
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLogOptions(t *testing.T) {
	t.Parallel()
	d := newDocker(t, engine, "1.23")
	for _, c := range [][2]string{
		{"no log driver named 'fluentd' is registered", "--log-driver=fluentd"},
		{"unknown log opt 'syslog-address' for json-file log driver", "--log-opt=syslog-address=udp://127.0.0.1"},
		{"max-file cannot be less than 1", "--log-opt=max-file=0"},
		{"unknown log opt 'max-size' for journald log driver", "--log-driver=journald --log-opt=max-size=1m"},
		{"unknown log opt 'max-file' for syslog log driver", "--log-driver=syslog --log-opt=max-file=1"},
		{"syslog-address should be in form proto://address, got 127.0.0.1:514", "--log-driver=syslog --log-opt=syslog-address=127.0.0.1:514"},
		{"invalid syslog facility", "--log-driver=syslog --log-opt=syslog-facility=local8"},
		{"Invalid syslog format", "--log-driver=syslog --log-opt=syslog-format=json"},
		{"log option tag", "--log-driver=syslog --log-opt=tag={{.Nothing}}"},
		{"Failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused", "--log-driver=syslog --log-opt=syslog-address=tcp://127.0.0.1:1"},
	} {
		d.fails(125, regexp.QuoteMeta(c[0]), append(append([]string{"run", "--rm"}, strings.Fields(c[1])...), "busybox", "true")...)
	}
	// The docker command takes these words for a missing program.
	d.fails(127, "syslog-address: stat /no/such/socket: no such file or directory", "run", "--rm", "--log-driver=syslog",
		"--log-opt=syslog-address=unix:///no/such/socket", "busybox", "true")
	name := d.name("none")
	d.run("run", "--name", name, "--log-driver", "none", "busybox", "true")
	d.fails(1, "configured logging reader does not support reading", "logs", name)

	name = d.name("attributes")
	d.run("run", "--name", name, "--label", "color=\"red\"", "--log-opt", "labels=color,other", "-e", "MODE=a b", "--log-opt", "env=MODE", "busybox", "echo", "text")
	log, err := os.ReadFile(d.inspect(name, "{{.LogPath}}"))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"log":"text\n","stream":"stdout","attrs":{"MODE":"a b","color":"\"red\""},"time":"`; !strings.HasPrefix(string(log), want) {
		t.Errorf("log: %s, want %s…", log, want)
	}
	d.equal("logs", d.run("logs", name), "text")
}

// A syslog server of the test's: what it receives comes as messages.
func syslogServer(t *testing.T, network, addr string, config *tls.Config) (address string, messages <-chan string) {
	t.Helper()
	received := make(chan string, 1000)
	if network == "udp" || network == "unixgram" {
		conn, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			buf := make([]byte, 65536)
			for {
				n, _, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				received <- string(buf[:n])
			}
		}()
		return conn.LocalAddr().String(), received
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					received <- line
				}
			}()
		}
	}()
	return l.Addr().String(), received
}

func TestSyslog(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t)
	const stamp = `[A-Z][a-z][a-z] [ 0-9]\d \d\d:\d\d:\d\d`
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, network, addr, scheme string
		config                      *tls.Config
		options                     []string
		out, err                    string // what the two lines must match
	}{
		{"udp", "udp", "127.0.0.1:0", "udp://", nil, nil,
			`^<30>` + stamp + ` [0-9a-f]{12}\[\d+\]: to the output\n$`, `^<27>` + stamp + ` [0-9a-f]{12}\[\d+\]: to the error\n$`},
		{"tcp", "tcp", "127.0.0.1:0", "tcp://", nil, []string{"syslog-facility=local3", "tag={{.ImageName}}/{{.Name}}"},
			`^<158>` + stamp + ` busybox/TestSyslog-tcp-c\[\d+\]: to the output\n$`, `^<155>` + stamp + ` busybox/TestSyslog-tcp-c\[\d+\]: to the error\n$`},
		{"unix", "unix", filepath.Join(t.TempDir(), "log"), "unix://", nil, []string{"syslog-format=rfc3164"},
			`^<30>` + stamp + ` ` + host + ` [0-9a-f]{12}\[\d+\]: to the output\n$`, `^<27>`},
		{"unixgram", "unixgram", filepath.Join(t.TempDir(), "log"), "unixgram://", nil, []string{"syslog-facility=1", "syslog-tag=old"},
			`^<14>` + stamp + ` old\[\d+\]: to the output\n$`, `^<11>`},
		{"tcp+tls", "tcp", "127.0.0.1:0", "tcp+tls://", cert, []string{"syslog-format=rfc5424", "syslog-tls-ca-cert=" + ca, "tag=t"},
			`^\d+ <30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\S+ ` + host + ` t \d+ t - to the output\n$`, `^\d+ <27>1 `},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDocker(t, engine, "1.23")
			address, messages := syslogServer(t, c.network, c.addr, c.config)
			args := []string{"run", "--name", d.name("c"), "--log-driver", "syslog", "--log-opt", "syslog-address=" + c.scheme + address}
			for _, o := range c.options {
				args = append(args, "--log-opt", o)
			}
			d.run(append(args, "busybox", "sh", "-c", "echo to the output; sleep 0.1; echo to the error >&2")...)
			for _, want := range []string{c.out, c.err} {
				select {
				case got := <-messages:
					if !regexp.MustCompile(want).MatchString(got) {
						t.Errorf("message %q, want %s", got, want)
					}
				case <-time.After(patience):
					t.Fatalf("no message %s came", want)
				}
			}
			d.fails(1, "configured logging reader does not support reading", "logs", d.name("c"))
		})
	}
	d := newDocker(t, engine, "1.23")
	address, _ := syslogServer(t, "tcp", "127.0.0.1:0", cert)
	d.fails(125, "Failed to initialize logging driver: .*certificate", "run", "--rm", "--log-driver", "syslog",
		"--log-opt", "syslog-address=tcp+tls://"+address, "busybox", "true")
}

// certificate makes a certificate for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (server *tls.Config, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "syslog"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}

// A server that does not read holds up no container, and gets everything later.
func TestSyslogServerHangs(t *testing.T) {
	t.Parallel()
	d := newDocker(t, engine, "1.23")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const lines = 200_000 // 20 MB: far more than pipes and sockets hold
	d.run("run", "--name", d.name("c"), "--log-driver", "syslog", "--log-opt", "syslog-address=tcp://"+l.Addr().String(), "busybox", "sh", "-c",
		fmt.Sprintf("yes %s | head -n %d", strings.Repeat("x", 99), lines))
	written := time.Now().Truncate(time.Second)
	time.Sleep(2 * time.Second) // the messages keep the times of their lines
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for i := range lines {
		line, err := in.ReadString('\n')
		if err != nil || !strings.HasSuffix(line, ": "+strings.Repeat("x", 99)+"\n") {
			t.Fatalf("message %d of %d: %q, %v", i, lines, line, err)
		}
		const from = len("<30>")
		at, err := time.ParseInLocation("2006 "+time.Stamp, fmt.Sprint(written.Year(), " ", line[from:from+len(time.Stamp)]), time.Local)
		if err != nil || at.After(written) {
			t.Fatalf("message %d of %d: %q, %v: it was written until %v", i, lines, line, err, written)
		}
	}
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// journal is a systemd-journald in the mount namespace of an engine.
type journal struct {
	t   *testing.T
	cmd *exec.Cmd
}

// ownRun gives a program directories of its own where a journald would work.
const ownRun = `mount -t tmpfs run /run/systemd && mount -t tmpfs log /run/log && mkdir -p /run/systemd/journald.conf.d /run/systemd/journal /run/log/journal &&
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >/run/systemd/journald.conf.d/test.conf && exec "$@"`

func startJournal(t *testing.T, pid int) *journal {
	t.Helper()
	j := &journal{t: t, cmd: exec.Command("nsenter", "--mount", "--target", strconv.Itoa(pid), "/lib/systemd/systemd-journald")}
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = j.cmd.Process.Kill()
		_ = j.cmd.Wait()
	})
	eventually(t, "journald is up", func() bool { return j.try("test", "-S", "/run/systemd/journal/socket") == nil })
	return j
}

// try runs a program in journald's mount namespace.
func (j *journal) try(args ...string) error {
	_, err := j.output(args...)
	return err
}

func (j *journal) output(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "nsenter", append([]string{"--mount", "--target", strconv.Itoa(j.cmd.Process.Pid)}, args...)...).Output()
	return string(out), err
}

func TestJournald(t *testing.T) {
	if err := os.MkdirAll("/run/systemd", 0o755); err != nil { // where systemd never ran
		t.Fatal(err)
	}
	if err := os.MkdirAll("/run/log", 0o755); err != nil {
		t.Fatal(err)
	}
	e := startOwn(t, "berthtest10", "10.213.20.1/24", "unshare", "--mount", "sh", "-c", ownRun, "berthd")
	d := newDocker(t, e.Host(), "1.23")
	d.fails(125, "Failed to initialize logging driver: journald is not enabled on this host", "run", "--rm", "--log-driver", "journald", "busybox", "true")
	j := startJournal(t, e.Pid())

	name := d.name("c")
	long := strings.Repeat("y", 40000)
	d.run("run", "--name", name, "--log-driver", "journald", "--label", "a.b=c", "--log-opt", "labels=a.b", "--log-opt", "tag=the {{.Name}}",
		"busybox", "sh", "-c", `echo one; sleep 0.1; echo two >&2; sleep 0.1; printf '\001\377\n'; head -c 40000 /dev/zero | tr '\0' y; echo; sleep 0.1; printf last`)
	r := d.try("", "logs", name)
	if r.stdout != "one\n\x01\xff\n"+long+"\nlast\n" || r.stderr != "two\n" {
		t.Errorf("logs: %.200q, stderr %q", r.stdout, r.stderr)
	}
	d.equal("tail", d.run("logs", "--tail", "1", name), "last")
	if got := d.run("logs", "-t", "--tail", "1", name); !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}000Z last\n?$`).MatchString(got) {
		t.Errorf("timestamps: %q", got)
	}
	d.equal("since", d.run("logs", "--since", strconv.FormatInt(time.Now().Unix()+100, 10), name), "")
	fields, err := j.output("journalctl", "--output=export", "--lines=1", "CONTAINER_NAME="+name)
	if err != nil {
		t.Fatal(err)
	}
	id := d.inspect(name, "{{.Id}}")
	for _, want := range []string{"CONTAINER_ID=" + id[:12], "CONTAINER_ID_FULL=" + id, "CONTAINER_TAG=the " + name, "A_B=c", "PRIORITY=6", "MESSAGE=last"} {
		if !strings.Contains(fields, want+"\n") {
			t.Errorf("the entry has no %s:\n%s", want, fields)
		}
	}

	// Clients that begin to follow at any time lose nothing and see nothing twice.
	const lines = 3000
	name = d.name("follow")
	d.run("run", "-d", "--name", name, "--log-driver", "journald", "busybox", "sh", "-c",
		fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); [ $((i%%100)) != 0 ] || sleep 0.05; done", lines))
	var want strings.Builder
	for i := range lines {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	outputs := make([]strings.Builder, 3)
	var follows []*exec.Cmd
	for i := range outputs {
		follows = append(follows, d.start(func(cmd *exec.Cmd) { cmd.Stdout = &outputs[i] }, "logs", "-f", name))
		time.Sleep(300 * time.Millisecond)
	}
	for i, f := range follows {
		if err := f.Wait(); err != nil || outputs[i].String() != want.String() {
			t.Errorf("follower %d: %v, %d bytes of %d", i, err, outputs[i].Len(), want.Len())
		}
	}

	whole(t, newRemote(t, e.Host(), "1.23"), map[string]any{"LogConfig": map[string]any{"Type": "journald"}})

	// Logging goes on without the daemon.
	name = d.name("alone")
	d.run("run", "-d", "--name", name, "--log-driver", "journald", "-v", t.TempDir()+":/mark", "busybox", "sh", "-c", "echo before; while [ ! -e /mark/go ]; do sleep 0.05; done; echo after")
	mark := d.inspect(name, "{{(index .Mounts 0).Source}}")
	e.Kill()
	if err := os.WriteFile(filepath.Join(mark, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line comes without the daemon", func() bool {
		out, err := j.output("journalctl", "--output=cat", "CONTAINER_NAME="+name)
		return err == nil && out == "before\nafter\n"
	})
	e.comesBack()
	d.run("rm", "-f", name)
}
