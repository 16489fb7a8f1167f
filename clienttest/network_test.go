package clienttest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve is a shell command that answers each connection to port 8080.
const serve = `while :; do echo hello from $(hostname) | nc -l -p 8080; done`

func TestPublishedPort(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "-h", "server", "-p", "8080", "busybox", "sh", "-c", serve)
		published := d.run("port", name, "8080")
		d.matches("port", published, `(?m)^0\.0\.0\.0:\d+$`)
		_, port, _ := strings.Cut(strings.Split(published, "\n")[0], ":")
		d.matches("ps", d.run("ps", "--filter", "name="+name, "--format", "{{.Ports}}"), `0\.0\.0\.0:`+port+`->8080/tcp`)
		address := "127.0.0.1:" + port
		eventually(t, address+" answers", func() bool { return ask(address) == "hello from server\n" })
		gateway := d.inspect(name, "{{.NetworkSettings.Gateway}}")
		// Another container reaches the port through the host, and the container itself directly.
		other := fmt.Sprintf("for i in $(seq 50); do nc -w 2 %s %s </dev/null && exit 0; sleep 0.1; done; exit 1", gateway, port)
		d.equal("from another container through the host", d.run("run", "--rm", "--name", d.name("other"), "busybox", "sh", "-c", other), "hello from server")
		direct := fmt.Sprintf("for i in $(seq 50); do nc -w 2 %s 8080 </dev/null && exit 0; sleep 0.1; done; exit 1", d.inspect(name, "{{.NetworkSettings.IPAddress}}"))
		d.equal("from another container directly", d.run("run", "--rm", "--name", d.name("direct"), "busybox", "sh", "-c", direct), "hello from server")
		d.run("rm", "-f", name)
		if got := ask(address); got != "" {
			t.Errorf("the port answers %q after the container is gone", got)
		}
	})
}

// ask connects and reads to the end; empty when nobody answers.
func ask(address string) string {
	conn, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func TestPublishedDatagramPort(t *testing.T) {
	server := filepath.Join(t.TempDir(), "udpecho")
	build := exec.Command("go", "build", "-o", server, "./testdata/udpecho")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	atEachVersion(t, func(t *testing.T, d *docker) {
		name := d.name("c")
		d.run("run", "-d", "--name", name, "-p", "127.0.0.1::9090/udp", "-v", server+":/udpecho:ro", "busybox", "/udpecho", ":9090")
		address := d.run("port", name, "9090/udp")
		d.matches("port", address, `^127\.0\.0\.1:\d+$`)
		eventually(t, "the datagram comes back", func() bool {
			conn, err := net.Dial("udp", address)
			if err != nil {
				return false
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
			if _, err := conn.Write([]byte("ping")); err != nil {
				return false
			}
			buffer := make([]byte, 16)
			n, _ := conn.Read(buffer)
			return string(buffer[:n]) == "ping"
		})
	})
}

// A port that is taken is a clear error, and leaves nothing half-made.
func TestTakenPort(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
		name := d.name("c")
		d.fails(125, "(?i)address already in use|port is already allocated", "run", "-d", "--name", name, "-p", "127.0.0.1:"+port+":80", "busybox", "sleep", "1000")
		d.equal("state", d.inspect(name, "{{.State.Running}}"), "false")
		l.Close()
		d.run("start", name)
	})
}

func TestNetworkModes(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		d.equal("none: interfaces", d.run("run", "--rm", "--name", d.name("none"), "--net", "none", "busybox", "ls", "/sys/class/net"), "lo")
		name := d.name("first")
		d.run("run", "-d", "--name", name, "busybox", "sleep", "1000")
		address := d.inspect(name, "{{.NetworkSettings.IPAddress}}")
		d.matches("container: address", d.run("run", "--rm", "--name", d.name("second"), "--net", "container:"+name, "busybox", "ip", "-o", "-4", "addr"), address+"/")
		d.matches("hosts file", d.run("exec", name, "cat", "/etc/hosts"), `(?m)^`+address+`\s+`+d.inspect(name, "{{.Config.Hostname}}")+"$")
		d.matches("bridge: default route", d.run("exec", name, "ip", "route"), "default via "+d.inspect(name, "{{.NetworkSettings.Gateway}}")+" dev eth0")
		host := d.run("run", "--rm", "--name", d.name("host"), "--net", "host", "busybox", "ls", "/sys/class/net")
		d.matches("host: interfaces", host, `(?m)^lo$`)
		d.lacks("host: interfaces", host, `(?m)^eth0@`)
		if d.since("1.21") {
			d.matches("network ls", d.run("network", "ls", "--format", "{{.Name}} {{.Driver}}"), `(?m)^bridge bridge$`)
		}
	})
}
