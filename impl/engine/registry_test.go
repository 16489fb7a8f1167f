package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub"
	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/image/registry"
)

// account is the user of startRegistry, with the bcrypt hash of the password.
const (
	accountName, accountPassword = "jane", "secret"
	accountHash                  = "$2b$05$7hKOO4WxUrLW291BPN5oA.ZdcSTfIHp1pQkpSxeC/pWF3aCeh1G3u"
)

// startRegistry runs Debian's docker-registry on a free port until the test is
// over, and gives its address. With login it lets the account in only.
func startRegistry(t *testing.T, login bool) string {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close() // the namespace is the test's own: nobody else takes the port
	config := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", dir, address)
	if login {
		users := filepath.Join(dir, "users")
		if err := os.WriteFile(users, []byte(accountName+":"+accountHash+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", users)
	}
	file := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd := osexec.Command("docker-registry", "serve", file)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("these tests need Debian's docker-registry (make setup-test): %v", err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for range 500 {
		resp, err := http.Get("http://" + address + "/v2/")
		if err == nil {
			resp.Body.Close()
			return address
		}
		select {
		case <-ended:
			t.Fatalf("docker-registry ended: %s", said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("docker-registry does not answer")
	return ""
}

func authHeader(t *testing.T, fields map[string]string) string {
	t.Helper()
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return base64.URLEncoding.EncodeToString(raw)
}

// lines are the progress messages as "id status", results as "aux tag digest".
func (o *output) lines() string {
	var b strings.Builder
	for _, v := range o.values {
		m := v.(*models.JSONMessage)
		if m.Aux != nil {
			fmt.Fprintf(&b, "aux %s %s %d\n", m.Aux.Tag, m.Aux.Digest, m.Aux.Size)
			continue
		}
		fmt.Fprintf(&b, "%s\n", strings.TrimSpace(m.ID+" "+m.Status))
	}
	return b.String()
}

func TestPushAndPullWithARegistry(t *testing.T) {
	host := startRegistry(t, false)
	e, other := newEngine(t), newEngine(t)
	repo := host + "/a/b"
	id := importImage(t, e, repo, "v1", "LABEL kind=x")
	importImage(t, e, repo, "v2")

	var pushed output
	if err := e.ImagePush(t.Context(), &hub.ImagePushParams{Name: repo, XRegistryAuth: "e30="}, &pushed); err != nil {
		t.Fatal(err)
	}
	var results []*models.PushResult
	for _, v := range pushed.values {
		if m := v.(*models.JSONMessage); m.Aux != nil {
			results = append(results, m.Aux)
		}
	}
	if len(results) != 2 || results[0].Tag != "v1" || results[0].Size == 0 {
		t.Fatalf("%s", pushed.lines())
	}
	for _, want := range []string{
		"The push refers to a repository [" + repo + "]", " Preparing", " Pushed",
		fmt.Sprintf("v1: digest: %s size: %d", results[0].Digest, results[0].Size),
	} {
		if !strings.Contains(pushed.lines(), want) {
			t.Errorf("no %q in:\n%s", want, pushed.lines())
		}
	}

	pull := func(p hub.ImageCreateParams) *output {
		t.Helper()
		var out output
		if err := other.ImageCreate(t.Context(), &p, &out); err != nil {
			t.Fatal(err)
		}
		return &out
	}
	said := pull(hub.ImageCreateParams{FromImage: repo, Tag: "v1"}).lines()
	for _, want := range []string{
		"v1 Pulling from a/b\n", " Pulling fs layer\n", " Downloading\n", " Verifying Checksum\n", " Download complete\n", " Extracting\n", " Pull complete\n",
		"\nDigest: " + results[0].Digest + "\nStatus: Downloaded newer image for " + repo + ":v1\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in:\n%s", want, said)
		}
	}
	if said := pull(hub.ImageCreateParams{FromImage: repo + ":v1"}).lines(); !strings.Contains(said, " Already exists\n") || !strings.Contains(said, "Status: Image is up to date for "+repo+":v1\n") {
		t.Errorf("second pull:\n%s", said)
	}
	pull(hub.ImageCreateParams{FromImage: repo})
	pull(hub.ImageCreateParams{FromImage: repo, Tag: results[1].Digest})
	m, err := other.ImageInspect(t.Context(), &hub.ImageInspectParams{Name: repo + "@" + results[0].Digest})
	if err != nil || m.ID != id || len(m.RepoDigests) != 1 || m.RepoDigests[0] != repo+"@"+results[0].Digest {
		t.Errorf("inspect: %+v %v", m, err)
	}
	if got := names(t, other, hub.ImageListParams{}); !strings.Contains(got, repo+":v1") || !strings.Contains(got, repo+":v2") {
		t.Errorf("after a pull of all tags: %s", got)
	}

	// What was pulled goes to another repository as it came.
	if err := other.ImageTag(t.Context(), &hub.ImageTagParams{Name: repo + ":v1", Repo: host + "/c", Tag: "x"}); err != nil {
		t.Fatal(err)
	}
	var mounted output
	if err := other.ImagePush(t.Context(), &hub.ImagePushParams{Name: host + "/c", Tag: "x"}, &mounted); err != nil {
		t.Fatal(err)
	}
	if text := mounted.lines(); !strings.Contains(text, " Mounted from a/b\n") || !strings.Contains(text, "x: digest: "+results[0].Digest) {
		t.Errorf("push elsewhere:\n%s", text)
	}

	ids := ""
	for _, ev := range happened(t, other, `{"event":["pull","push"]}`) {
		ids += fmt.Sprintf("%s %s %s %s\n", ev.Action, ev.Actor.ID, ev.Actor.Attributes["name"], ev.Actor.Attributes["kind"])
	}
	for _, want := range []string{"pull " + repo + ":v1 " + repo + " x\n", "pull " + repo + "@" + results[1].Digest + " " + repo + " \n", "push " + host + "/c:x " + host + "/c x\n"} {
		if !strings.Contains(ids, want) {
			t.Errorf("no event %q in:\n%s", want, ids)
		}
	}
}

func TestWhatCannotBePulledOrPushed(t *testing.T) {
	host := startRegistry(t, false)
	e := newEngine(t)
	importImage(t, e, host+"/a", "v1")
	for name, c := range map[string]struct {
		params hub.ImageCreateParams
		is     func(error) bool
	}{
		"no repository":  {hub.ImageCreateParams{FromImage: host + "/nosuch", Tag: "v1"}, errdefs.IsNotFound},
		"no tags at all": {hub.ImageCreateParams{FromImage: host + "/nosuch"}, errdefs.IsNotFound},
		"no registry":    {hub.ImageCreateParams{FromImage: "127.0.0.1:1/x", Tag: "v1"}, errdefs.IsInternal},
		"no network":     {hub.ImageCreateParams{FromImage: "busybox", Tag: "v1"}, errdefs.IsInternal},
		"bad name":       {hub.ImageCreateParams{FromImage: host + "/A B", Tag: "v1"}, errdefs.IsInvalidArgument},
		"bad tag":        {hub.ImageCreateParams{FromImage: host + "/a", Tag: "a/b"}, errdefs.IsInvalidArgument},
		"climbing name":  {hub.ImageCreateParams{FromImage: host + "/../a", Tag: "v1"}, errdefs.IsInvalidArgument},
	} {
		var out output
		if err := e.ImageCreate(t.Context(), &c.params, &out); !c.is(err) || out.started {
			t.Errorf("pull, %s: %v, started %v", name, err, out.started)
		}
	}
	for name, c := range map[string]struct {
		params hub.ImagePushParams
		is     func(error) bool
	}{
		"no repository": {hub.ImagePushParams{Name: host + "/nosuch"}, errdefs.IsNotFound},
		"no tag":        {hub.ImagePushParams{Name: host + "/a", Tag: "v2"}, errdefs.IsNotFound},
		"a digest":      {hub.ImagePushParams{Name: host + "/a@sha256:" + strings.Repeat("0", 64)}, errdefs.IsInvalidArgument},
		"bad name":      {hub.ImagePushParams{Name: "A B"}, errdefs.IsInvalidArgument},
	} {
		var out output
		if err := e.ImagePush(t.Context(), &c.params, &out); !c.is(err) || out.started {
			t.Errorf("push, %s: %v, started %v", name, err, out.started)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out output
	if err := e.ImagePush(ctx, &hub.ImagePushParams{Name: host + "/a"}, &out); !errors.Is(err, context.Canceled) {
		t.Errorf("push of a client that left: %v", err)
	}
}

func TestRegistryWithLogin(t *testing.T) {
	host := startRegistry(t, true)
	e := newEngine(t)
	login := func(name, password string) (*models.AuthResponse, error) {
		return e.SystemAuth(t.Context(), &hub.SystemAuthParams{Body: &models.AuthConfig{Username: name, Password: password, Serveraddress: "http://" + host}})
	}
	m, err := login(accountName, accountPassword)
	if err != nil || m.Status != registry.LoginSucceeded || m.IdentityToken != "" {
		t.Errorf("login: %+v %v", m, err)
	}
	for _, password := range []string{"t7po", ""} {
		if _, err := login(accountName, password); !errdefs.IsUnauthorized(err) {
			t.Errorf("login with password %q: %v", password, err)
		}
	}
	if _, err := e.SystemAuth(t.Context(), &hub.SystemAuthParams{Body: &models.AuthConfig{Serveraddress: "127.0.0.1:1"}}); !errdefs.IsInternal(err) {
		t.Errorf("login at nobody's: %v", err)
	}

	importImage(t, e, host+"/p", "v1")
	right := authHeader(t, map[string]string{"username": accountName, "password": accountPassword, "email": "a@b"})
	wrong := authHeader(t, map[string]string{"username": accountName, "password": "t7po"})
	for _, header := range []string{"", "!malformed!", wrong} {
		var out output
		if err := e.ImagePush(t.Context(), &hub.ImagePushParams{Name: host + "/p", XRegistryAuth: header}, &out); !errdefs.IsUnauthorized(err) || strings.Contains(err.Error(), "t7po") {
			t.Errorf("push with header %q: %v", header, err)
		}
		out = output{}
		// "Repository does not exist or no read access" is one status.
		if err := e.ImageCreate(t.Context(), &hub.ImageCreateParams{FromImage: host + "/p", Tag: "v1", XRegistryAuth: header}, &out); !errdefs.IsNotFound(err) || out.started {
			t.Errorf("pull with header %q: %v", header, err)
		}
	}
	var out output
	if err := e.ImagePush(t.Context(), &hub.ImagePushParams{Name: host + "/p", XRegistryAuth: right}, &out); err != nil {
		t.Fatal(err)
	}
	// Old clients put the credentials into the body.
	body := &models.AuthConfig{Username: accountName, Password: accountPassword}
	if err := e.ImagePush(t.Context(), &hub.ImagePushParams{Name: host + "/p", Tag: "v1", Body: body}, &out); err != nil {
		t.Error(err)
	}
	if err := e.ImageCreate(t.Context(), &hub.ImageCreateParams{FromImage: host + "/p", Tag: "v1", XRegistryAuth: right}, &out); err != nil {
		t.Error(err)
	}
	found, err := e.ImageSearch(t.Context(), &hub.ImageSearchParams{Term: host + "/p", XRegistryAuth: right})
	if err != nil || len(found) != 1 || found[0].Name != host+"/p" {
		t.Errorf("search: %v %v", found, err)
	}
	if _, err := e.ImageSearch(t.Context(), &hub.ImageSearchParams{Term: host + "/p"}); !errdefs.IsInternal(err) {
		t.Errorf("search of nobody: %v", err)
	}
}

func TestPullThroughMirrors(t *testing.T) {
	host := startRegistry(t, false)
	e := newEngine(t)
	importImage(t, e, host+"/a/b", "v1")
	var out output
	if err := e.ImagePush(t.Context(), &hub.ImagePushParams{Name: host + "/a/b"}, &out); err != nil {
		t.Fatal(err)
	}
	var err error
	if e.Registry, err = registry.New(registry.Options{CertsDir: t.TempDir(), Mirrors: []string{"http://127.0.0.1:1", "http://" + host}}); err != nil {
		t.Fatal(err)
	}
	out = output{}
	if err := e.ImageCreate(t.Context(), &hub.ImageCreateParams{FromImage: "a/b", Tag: "v1"}, &out); err != nil {
		t.Fatal(err)
	}
	if got := names(t, e, hub.ImageListParams{}); !strings.Contains(got, "a/b:v1") {
		t.Errorf("images %s", got)
	}
	// No mirror has it, and the public registry cannot be reached from here.
	out = output{}
	if err := e.ImageCreate(t.Context(), &hub.ImageCreateParams{FromImage: "a/b", Tag: "nosuch"}, &out); !errdefs.IsInternal(err) || out.started {
		t.Errorf("what no mirror has: %v\n%s", err, out.lines())
	}
}

// A build's base image may be in a registry that lets in only who has an account there.
func TestBuildFromPrivateBase(t *testing.T) {
	host := startRegistry(t, true)
	e := newEngine(t)
	importImage(t, e, host+"/base", "v1")
	right := map[string]string{"username": accountName, "password": accountPassword}
	var out output
	if err := e.ImagePush(t.Context(), &hub.ImagePushParams{Name: host + "/base", Tag: "v1", XRegistryAuth: authHeader(t, right)}, &out); err != nil {
		t.Fatal(err)
	}
	header := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.URLEncoding.EncodeToString(raw)
	}
	for _, c := range []struct {
		name   string
		config any
		ok     bool
	}{
		{"a map", map[string]any{host: right}, true},
		{"a ConfigFile", map[string]any{"configs": map[string]any{host: right}}, true},
		{"basic", map[string]any{host: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(accountName + ":" + accountPassword))}}, true},
		{"another's", map[string]any{"other.example": right}, false},
		{"a wrong password", map[string]any{host: map[string]string{"username": accountName, "password": "t7po"}}, false},
	} {
		if _, err := e.ImageDelete(t.Context(), &hub.ImageDeleteParams{Name: host + "/base:v1", Force: true}); err != nil && !errdefs.IsNotFound(err) {
			t.Fatal(err)
		}
		var out output
		err := e.ImageBuild(t.Context(), &hub.ImageBuildParams{Body: buildContext(t, "FROM "+host+"/base:v1\nLABEL a=b\n"), XRegistryConfig: header(c.config), T: []string{"made"}}, &out)
		said := fmt.Sprint(out.String(), err)
		for _, v := range out.values {
			said += fmt.Sprintf("%+v", v)
		}
		if ok := strings.Contains(said, "Successfully built"); ok != c.ok {
			t.Errorf("%s: built %v: %s", c.name, ok, said)
		}
		if strings.Contains(said, "t7po") || strings.Contains(said, accountPassword) {
			t.Errorf("%s: the answer has a password: %s", c.name, said)
		}
		if c.ok {
			if _, err := e.ImageDelete(t.Context(), &hub.ImageDeleteParams{Name: "made"}); err != nil {
				t.Error(err)
			}
		}
	}
}
