package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/image"
)

func TestTranscript(t *testing.T) {
	p := newPlace(t)
	context := contextOf(t, `FROM busybox
ENV A=1 B="two words"
LABEL a=$A
RUN echo out; \
    echo $B
COPY x /x
CMD ["sh", "-c", "true"]
`, entry{name: "x", body: "x"})
	p.must(context)
	want := `Step 1 : FROM busybox
 ---> ID
Step 2 : ENV A 1 B two words
 ---> Running in ID
 ---> ID
Removing intermediate container ID
Step 3 : LABEL a 1
 ---> Running in ID
 ---> ID
Removing intermediate container ID
Step 4 : RUN echo out;     echo $B
 ---> Running in ID
out
two words
 ---> ID
Removing intermediate container ID
Step 5 : COPY x /x
 ---> ID
Removing intermediate container ID
Step 6 : CMD sh -c true
 ---> Running in ID
 ---> ID
Removing intermediate container ID
Successfully built ID
`
	if got := p.transcript(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	p.must(context)
	if p.hits() != 5 {
		t.Errorf("the second build took steps anew:\n%s", p.said.String())
	}
}

func TestConfiguration(t *testing.T) {
	p := newPlace(t)
	path := "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, c := range []struct {
		name, dockerfile string
		args             map[string]string
		want             image.Config
	}{
		{"env replaced and kept in place", "ENV A=1\nENV B=$A C=${A}x D='$A' E=\\$A A=2\nENV F $A and more", nil,
			image.Config{Env: []string{path, "A=2", "B=1", "C=1x", "D=$A", "E=$A", "F=2 and more"}}},
		{"modifiers", "ENV A=\nENV B=${A:-no} C=${X:+yes} D=${A:+x}", nil, image.Config{Env: []string{path, "A=", "B=no", "C=", "D="}}},
		{"labels", "LABEL a=1 \"b c\"=\"d e\"\nLABEL a=2", nil, image.Config{Env: []string{path}, Labels: map[string]string{"a": "2", "b c": "d e"}}},
		{"ports", "ENV P=9\nEXPOSE 80 53/udp 7000-7001 $P", nil, image.Config{Env: []string{path, "P=9"}, ExposedPorts: map[string]struct{}{
			"80/tcp": {}, "53/udp": {}, "7000/tcp": {}, "7001/tcp": {}, "9/tcp": {}}}},
		{"entrypoint drops the base's command only", "CMD a\nENTRYPOINT [\"e\"]", nil, image.Config{Env: []string{path}, Cmd: image.Words{"/bin/sh", "-c", "a"}, Entrypoint: image.Words{"e"}}},
		{"shell", "SHELL [\"/bin/sh\", \"-xc\"]\nCMD a b", nil, image.Config{Env: []string{path}, Shell: image.Words{"/bin/sh", "-xc"}, Cmd: image.Words{"/bin/sh", "-xc", "a b"}}},
		{"workdir", "WORKDIR /a\nWORKDIR b\nENV X=c\nWORKDIR $X/../d", nil, image.Config{Env: []string{path, "X=c"}, WorkingDir: "/a/b/d"}},
		{"an absolute workdir stays as written", "WORKDIR /bin/../new", nil, image.Config{Env: []string{path}, WorkingDir: "/bin/../new"}},
		{"the rest", "USER bob\nSTOPSIGNAL 9\nVOLUME /a b\nVOLUME [\"/c d\"]\nONBUILD RUN true", nil, image.Config{Env: []string{path}, User: "bob", StopSignal: "9",
			Volumes: map[string]struct{}{"/a": {}, "b": {}, "/c d": {}}, OnBuild: []string{"RUN true"}}},
		{"arg with a default", "ARG V=d\nLABEL v=$V", nil, image.Config{Env: []string{path}, Labels: map[string]string{"v": "d"}}},
		{"arg given", "ARG V=d\nLABEL v=$V", map[string]string{"V": "g"}, image.Config{Env: []string{path}, Labels: map[string]string{"v": "g"}}},
		{"arg not declared", "LABEL v=$V", map[string]string{"V": "g"}, image.Config{Env: []string{path}, Labels: map[string]string{"v": ""}}},
		{"env wins over arg", "ARG V\nENV V=e\nLABEL v=$V", map[string]string{"V": "g"}, image.Config{Env: []string{path, "V=e"}, Labels: map[string]string{"v": "e"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := map[string]*string{}
			for k, v := range c.args {
				args[k] = &v
			}
			id, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\n"+c.dockerfile)), Remove: true, Args: args})
			if err != nil {
				t.Fatal(err)
			}
			img, err := p.Images.Get(id.String())
			if err != nil {
				t.Fatal(err)
			}
			got := *img.Config
			got.Image = ""
			if !reflect.DeepEqual(normal(got), normal(c.want)) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// normal takes the difference between nothing and an empty list away.
func normal(c image.Config) image.Config {
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); (f.Kind() == reflect.Slice || f.Kind() == reflect.Map) && f.Len() == 0 {
			f.SetZero()
		}
	}
	return c
}

func TestHistory(t *testing.T) {
	p := newPlace(t)
	img := p.must(contextOf(t, "FROM busybox\nMAINTAINER me\nARG V=1\nRUN true\nWORKDIR /w\nCMD a\nCOPY Dockerfile /"))
	var got []string
	for _, h := range img.History[1:] {
		got = append(got, h.CreatedBy)
	}
	want := []string{
		"/bin/sh -c #(nop)  MAINTAINER me", "/bin/sh -c #(nop)  ARG V=1", "|1 V=1 /bin/sh -c true",
		"/bin/sh -c #(nop) WORKDIR /w", `/bin/sh -c #(nop)  CMD ["/bin/sh" "-c" "a"]`,
	}
	if !slices.Equal(got[:len(want)], want) || !strings.HasPrefix(got[len(want)], "/bin/sh -c #(nop) COPY file:") || img.Author != "me" || img.DockerVersion != "1.2.3" {
		t.Errorf("got %q, author %q, version %q", got, img.Author, img.DockerVersion)
	}
	v := "v"
	id, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\nHEALTHCHECK --retries=3 CMD x\nRUN true")), Args: map[string]*string{"http_proxy": &v}, Remove: true})
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Images.Get(id.String())
	if err != nil {
		t.Fatal(err)
	}
	if h := second.History; h[1].CreatedBy != `/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "x"] "0s" "0s" "0s" '\x03'}` || h[2].CreatedBy != "|0 /bin/sh -c true" {
		t.Errorf("history %+v", h)
	}
	if img.Parent == "" || img.ContainerConfig == nil || img.Config.Image != img.Parent.String() {
		t.Errorf("parent %q, config.Image %q", img.Parent, img.Config.Image)
	}
}

func TestCache(t *testing.T) {
	p := newPlace(t)
	dockerfile := "FROM busybox\nARG V\nCOPY f /f\nRUN echo $V >/v\nLABEL end=1\n"
	build := func(f entry, v string, nocache bool) int {
		t.Helper()
		f.name = "f"
		if _, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, dockerfile, f)), Remove: true, NoCache: nocache, Args: map[string]*string{"V": &v}}); err != nil {
			t.Fatal(err)
		}
		return p.hits()
	}
	for _, c := range []struct {
		name    string
		f       entry
		v       string
		nocache bool
		hits    int
	}{
		{"first", entry{body: "1"}, "a", false, 0},
		{"same", entry{body: "1"}, "a", false, 4},
		{"other time", entry{body: "1", at: time.Unix(1e9, 0)}, "a", false, 4},
		{"other owner in the context", entry{body: "1", uid: 7}, "a", false, 4},
		{"other mode", entry{body: "1", mode: 0o600}, "a", false, 1},
		{"other content", entry{body: "2"}, "a", false, 1},
		{"other variable", entry{body: "1"}, "b", false, 2},
		{"the first again", entry{body: "1"}, "a", false, 4},
		{"no cache", entry{body: "1"}, "a", true, 0},
	} {
		if got := build(c.f, c.v, c.nocache); got != c.hits {
			t.Errorf("%s: %d steps from the cache, want %d\n%s", c.name, got, c.hits, p.said.String())
		}
	}
}

func TestStages(t *testing.T) {
	p := newPlace(t)
	img := p.must(contextOf(t, `ARG BASE=busybox
FROM $BASE AS One
RUN echo made >/made
FROM scratch as two
COPY --from=one /made /a/
COPY --from=0 made /b
FROM two
COPY --from=busybox file /c
`))
	p.expect(img, "/", map[string]string{
		"a": "dir 755 0:0 ", "a/made": "file 644 0:0 made\n", "b": "file 644 0:0 made\n", "c": "file 644 0:0 a file",
	})
}

func TestTriggers(t *testing.T) {
	p := newPlace(t)
	id, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\nONBUILD COPY *.txt /t/\nONBUILD RUN echo $PATH >/p")), Remove: true, Tags: []string{"base:latest"}})
	if err != nil {
		t.Fatal(err)
	}
	if base, err := p.Images.Get("base"); err != nil || base.ID != id {
		t.Fatalf("tag: %v", err)
	}
	img := p.must(contextOf(t, "FROM base\nLABEL a=1", entry{name: "x.txt", body: "x"}))
	p.expect(img, "/t", map[string]string{"/x.txt": "file 644 0:0 x"})
	if len(img.Config.OnBuild) != 0 || !strings.Contains(p.said.String(), "# Executing 2 build triggers...\n") {
		t.Errorf("triggers %q\n%s", img.Config.OnBuild, p.said.String())
	}
}

func TestFailingCommand(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct {
		name          string
		remove, force bool
		left          int
	}{{"kept", true, false, 1}, {"removed", true, true, 0}, {"nothing removed", false, false, 2}} {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.build(&Request{
				Context: bytes.NewReader(contextOf(t, "FROM busybox\nLABEL x="+strings.ReplaceAll(c.name, " ", "-")+"\nRUN exit 7")), Remove: c.remove, ForceRemove: c.force,
			})
			var exit *ExitError
			if !errors.As(err, &exit) || exit.Code != 7 || err.Error() != "The command '/bin/sh -c exit 7' returned a non-zero code: 7" {
				t.Errorf("got %v", err)
			}
			if len(p.processes.made) != c.left {
				t.Errorf("%d containers are left, want %d", len(p.processes.made), c.left)
			}
			for id := range p.processes.made {
				if err := p.processes.Remove(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestCancel(t *testing.T) {
	p := newPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := p.Build(ctx, &Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\nRUN echo on; sleep 1000")), Remove: true}, Output{Text: func(s string) error {
		if s == "on\n" {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(p.processes.made) != 0 {
		t.Errorf("left: %v", p.processes.made)
	}
}

func TestUnusedArguments(t *testing.T) {
	p := newPlace(t)
	v := "v"
	_, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM busybox\nRUN echo $http_proxy >/p")), Remove: true, Args: map[string]*string{"B": &v, "A": nil, "http_proxy": &v}})
	if err != nil || !strings.Contains(p.said.String(), "[Warning] One or more build-args [A B] were not consumed\n") {
		t.Errorf("%v\n%s", err, p.said.String())
	}
}

func TestBadDockerfiles(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ name, dockerfile, want string }{
		{"empty", "", "The Dockerfile (Dockerfile) cannot be empty"},
		{"comments only", "# nothing\n", ""},
		{"no from", "RUN true", "Dockerfile line 1: Please provide a source image with `from` prior to run"},
		{"unknown", "FROM busybox\n\nFROB x", "Dockerfile line 3: Unknown instruction: FROB"},
		{"here-document", "FROM busybox\nRUN <<E\ntrue\nE\n", "Dockerfile line 2: RUN with a here-document is not served"},
		{"mount", "FROM busybox\nRUN --mount=type=tmpfs,target=/t true", "Dockerfile line 2: RUN with the flag --mount is not served"},
		{"network", "FROM busybox\nRUN --network=none true", "Dockerfile line 2: RUN with the flag --network is not served"},
		{"link", "FROM busybox\nCOPY --link a b", "Dockerfile line 2: COPY with the flag --link is not served"},
		{"checksum", "FROM busybox\nADD --checksum=sha256:00 a b", "Dockerfile line 2: ADD with the flag --checksum is not served"},
		{"foreign platform", "FROM --platform=plan9/mips busybox", "Dockerfile line 1: FROM with the flag --platform=plan9/mips is not served"},
		{"unknown flag", "FROM busybox\nCOPY --frob a b", "Dockerfile line 2: "},
		{"one argument", "FROM busybox\nCOPY a", "Dockerfile line 2: "},
		{"chained trigger", "FROM busybox\nONBUILD ONBUILD RUN true", "Dockerfile line 2: Chaining ONBUILD"},
		{"bad port", "FROM busybox\nEXPOSE x", "Dockerfile line 2: "},
		{"bad variable", "FROM busybox\nENV A=${", "Dockerfile line 2: "},
		{"bad mode", "FROM busybox\nCOPY --chmod=9 Dockerfile /", "Dockerfile line 2: invalid chmod parameter"},
		{"run in scratch", "FROM scratch\nRUN true", "Dockerfile line 2: RUN has nothing to run"},
		{"later stage", "FROM busybox AS a\nCOPY --from=1 x /", "Dockerfile line 2: invalid from flag value 1"},
		{"scratch alone", "FROM scratch", "No image was generated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, c.dockerfile)), Remove: true})
			if err == nil || !errdefs.IsInvalidArgument(err) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := p.build(&Request{Context: bytes.NewReader(contextOf(t, "FROM nosuch")), Remove: true}); !errdefs.IsNotFound(err) {
		t.Errorf("unknown base image: %v", err)
	}
	if _, err := p.build(&Request{Context: bytes.NewReader(archive(t, entry{name: "x", kind: tar.TypeSymlink, link: "y"}))}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("no Dockerfile: %v", err)
	}
}

func TestTextWriter(t *testing.T) {
	text := "aä€😀z"
	for size := 1; size <= len(text); size++ {
		var got []string
		w := &textWriter{to: func(s string) error { got = append(got, s); return nil }}
		for part := range slices.Chunk([]byte(text), size) {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, "") != text {
			t.Errorf("%d bytes at a time: %q", size, got)
		}
		for _, s := range got {
			if strings.ToValidUTF8(s, "") != s {
				t.Errorf("%d bytes at a time: a character is torn: %q", size, got)
			}
		}
	}
}
