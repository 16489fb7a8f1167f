package network

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// run runs a program of the system in the tests' namespace.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestBesideDocker has the rules of a Docker Engine that starts before, or
// after, this one: FORWARD drops all but what DOCKER-USER accepts.
func TestBesideDocker(t *testing.T) {
	for _, program := range []string{"iptables-nft", "iptables-legacy"} {
		for _, first := range []string{"docker first", "docker later"} {
			t.Run(program+" "+first, func(t *testing.T) {
				docker := func() {
					t.Helper()
					run(t, program, "-N", "DOCKER-USER")
					run(t, program, "-A", "DOCKER-USER", "-j", "RETURN")
					run(t, program, "-P", "FORWARD", "DROP")
					run(t, program, "-I", "FORWARD", "-j", "DOCKER-USER")
					t.Cleanup(func() {
						run(t, program, "-P", "FORWARD", "ACCEPT")
						run(t, program, "-F", "FORWARD")
						run(t, program, "-F", "DOCKER-USER")
						run(t, program, "-X", "DOCKER-USER")
					})
				}
				if first == "docker first" {
					docker()
				}
				e := newEnv(t)
				far := farHost(t)
				if first == "docker later" {
					docker()
				}
				if first == "docker later" && program == "iptables-legacy" {
					e.crash() // its rules are seen at the start only
					e.open()
				}
				waitFor(t, "rules in DOCKER-USER", func() bool {
					return strings.Contains(run(t, program, "-S", "DOCKER-USER"), "-o berthtest0 -j ACCEPT")
				})
				e.crash()
				e.open() // must not add them twice
				const rules = `-N DOCKER-USER
-A DOCKER-USER -i berthtest0 -o docker+ -j RETURN
-A DOCKER-USER -i berthtest0 -o br-+ -j RETURN
-A DOCKER-USER -i berthtest0 -j ACCEPT
-A DOCKER-USER -o berthtest0 -j ACCEPT
-A DOCKER-USER -j RETURN
`
				if got := run(t, program, "-S", "DOCKER-USER"); got != rules {
					t.Errorf("DOCKER-USER is\n%s", got)
				}
				s := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
				other := e.start(SandboxSpec{ContainerID: "other"})
				answer(t, s, TCP, 80, "web")
				answer(t, &Sandbox{Key: far}, TCP, 7, "far")
				want(t, "other host", far, TCP, hostAddr+":8080", "web")
				want(t, "neighbour", other.Key, TCP, at(addr(s), 80), "web")
				want(t, "container to other host", s.Key, TCP, farAddr+":7", "far")
			})
		}
	}
}

// TestFlushed: another program throws the whole ruleset away.
func TestFlushed(t *testing.T) {
	e := newEnv(t)
	s := e.start(SandboxSpec{ContainerID: "web", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8080}}})
	answer(t, s, TCP, 80, "web")
	run(t, "nft", "flush", "ruleset")
	waitFor(t, "table", func() bool {
		n, err := e.table.Count()
		return err == nil && n == 1
	})
	want(t, "host after flush", "", TCP, "127.0.0.1:8080", "web")

	// Between the flush and the repair containers come and go.
	for range 20 {
		run(t, "nft", "flush", "ruleset")
		e.start(SandboxSpec{ContainerID: "next", Ports: []PortSpec{{Proto: TCP, ContainerPort: 80, HostPort: 8081}}})
		run(t, "nft", "flush", "ruleset")
		e.release("next")
	}
	waitFor(t, "table", func() bool {
		n, err := e.table.Count()
		return err == nil && n == 1
	})
	want(t, "host after flushes", "", TCP, "127.0.0.1:8080", "web")
	run(t, "nft", "list", "ruleset") // readable by nft
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("no %s after 10 s", what)
}
