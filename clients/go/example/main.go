// Command example runs a container and follows its log, then speaks with a
// process in it:
//
//	go run ./clients/go/example [unix:///run/berth.sock | tcp://HOST:PORT]
//
// With DOCKER_CERT_PATH, tcp:// is TLS with ca.pem, cert.pem and key.pem of that
// directory.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	client "github.com/seed-50ced230/berth/clients/go"
	"github.com/seed-50ced230/berth/gen/client/v1_23"
	"github.com/seed-50ced230/berth/gen/client/v1_23/containers"
	"github.com/seed-50ced230/berth/gen/client/v1_23/misc"
	hub "github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/gen/v1_23/models"
)

const script = "for i in 1 2 3; do echo line $i; done; echo to stderr >&2; sleep 1; echo done; read end"

func main() {
	address := "unix:///run/berth.sock"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := run(context.Background(), address); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string) error {
	certificates, err := fromEnvironment()
	if err != nil {
		return err
	}
	c, err := client.New(address, client.Options{Version: "1.23", TLS: certificates})
	if err != nil {
		return err
	}
	api := v1_23.New(c, nil)

	config := &models.ContainerCreateRequest{}
	config.Image, config.Cmd, config.OpenStdin = "busybox", []string{"sh", "-c", script}, true
	created, err := api.Containers.ContainerCreateContext(ctx, containers.NewContainerCreateParams().WithConfig(config))
	if err != nil {
		return err
	}
	id, yes := created.Payload.ID, true
	defer func() {
		_, _ = api.Containers.ContainerDelete(containers.NewContainerDeleteParams().WithName(id).WithForce(&yes))
	}()
	if _, err := api.Containers.ContainerStartContext(ctx, containers.NewContainerStartParams().WithName(id)); err != nil {
		return err
	}
	if err := speak(ctx, c, api, id); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	if err := follow(ctx, c, api, id); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	ended, err := api.Containers.ContainerWaitContext(ctx, containers.NewContainerWaitParams().WithName(id))
	if err != nil {
		return err
	}
	fmt.Println("exit code", ended.Payload.StatusCode)
	return nil
}

// speak sends a line to a process of its own, ends its input and shows what comes
// back.
func speak(ctx context.Context, c *client.Client, api *v1_23.Berth, id string) error {
	config := &hub.ExecConfig{AttachStdin: true, AttachStdout: true, Cmd: []string{"tr", "a-z", "A-Z"}}
	made, err := api.Misc.ContainerExecContext(ctx, misc.NewContainerExecParams().WithName(id).WithExecConfig(config))
	if err != nil {
		return err
	}
	conn, err := c.ExecStart(ctx, made.Payload.ID, false)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	return client.Split(prefixed("exec stdout "), prefixed("exec stderr "), conn)
}

// follow shows the log as it is written, until the container ends; when it says
// that it is done, it is sent a line.
func follow(ctx context.Context, c *client.Client, api *v1_23.Berth, id string) error {
	yes := true
	frames, log := io.Pipe()
	go func() {
		ask := containers.NewContainerLogsParams().WithName(id).WithFollow(&yes).WithStdout(&yes).WithStderr(&yes)
		_, err := api.Containers.ContainerLogsContext(ctx, ask, log)
		_ = log.CloseWithError(err)
	}()
	stdout := writer(func(p []byte) (int, error) {
		if strings.HasSuffix(string(p), "done\n") {
			conn, err := c.Attach(ctx, id, client.Attachment{Stream: true, Stdin: true})
			if err != nil {
				return 0, err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "end\n"); err != nil {
				return 0, err
			}
		}
		return prefixed("stdout ").Write(p)
	})
	return client.Split(stdout, prefixed("stderr "), frames)
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func prefixed(prefix string) io.Writer {
	return writer(func(p []byte) (int, error) {
		fmt.Print(prefix, string(p))
		return len(p), nil
	})
}

// fromEnvironment is nil without DOCKER_CERT_PATH.
func fromEnvironment() (*tls.Config, error) {
	dir := os.Getenv("DOCKER_CERT_PATH")
	if dir == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	return config, nil
}
