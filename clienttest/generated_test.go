package clienttest

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// packages is where "make clients" puts the clients in other languages.
const packages = "../build/clients"

// examples are the examples of the generated clients: each runs a container,
// speaks with an exec in it, follows its log, sends it a line and waits for it.
var examples = map[string]func() *exec.Cmd{
	"python": func() *exec.Cmd {
		cmd := exec.Command(pythonProgram, "-B", "example.py")
		cmd.Dir = filepath.Join(packages, "python")
		return cmd
	},
	"typescript": func() *exec.Cmd {
		cmd := exec.Command("node", "example.mjs")
		cmd.Dir = filepath.Join(packages, "typescript")
		return cmd
	},
}

// TestGeneratedClients runs the examples at every version, over the unix
// socket and over TCP.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	tcp := relay(t, strings.TrimPrefix(engine, "unix://"))
	want := []string{"exec stdout HELLO", "exit code 0", "stderr to stderr", "stdout done", "stdout line 1", "stdout line 2", "stdout line 3"}
	for language, example := range examples {
		for i, version := range versions {
			address := engine
			if i%2 == 1 {
				address = tcp
			}
			t.Run(language+"/"+version, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
				defer cancel()
				made := example()
				cmd := exec.CommandContext(ctx, made.Path, append(slices.Clone(made.Args[1:]), address, version)...)
				cmd.Dir = made.Dir
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				// Several lines may come in one frame, which names the stream once.
				text := strings.ReplaceAll(strings.TrimSpace(string(out)), "\nline ", "\nstdout line ")
				got := strings.Split(text, "\n")
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("the example says:\n%s", out)
				}
			})
		}
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
