package clienttest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// context writes the files of a build context, a path and a content each.
func contextOf(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		at := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const twoStages = `FROM busybox AS maker
COPY . /in
RUN mkdir /out && cat /in/part/a /in/b > /out/ab && ls /in > /out/had
FROM busybox
ENV OF=salt
ARG WHO=nobody
ENV WHO=$WHO
COPY --from=maker /out /out
WORKDIR /out
CMD ["sh", "-c", "echo $WHO; cat ab had"]
`

// The docker command builds: stages, an ignore file, arguments, the cache, a
// quiet build, and a command that fails with its exit code.
func TestBuild(t *testing.T) {
	atEachVersion(t, func(t *testing.T, d *docker) {
		// A cache of its own: a test that removes its image removes the images below, too.
		dockerfile := strings.Replace(twoStages, "salt", t.Name(), 1)
		dir := contextOf(t, "Dockerfile", dockerfile, ".dockerignore", "secret*\nDockerfile\n.dockerignore\n",
			"part/a", "a of "+t.Name()+"\n", "b", "b\n", "secret", "nobody's")
		name, who := d.tag("built"), "nobody"
		arguments := []string{"build", "-t", name, dir}
		if d.since("1.21") {
			arguments, who = append(arguments, "--build-arg", "WHO=me"), "me"
		}
		first := d.run(arguments...)
		d.matches("steps", first, `(?s)Step 1 : FROM busybox AS maker\n ---> [0-9a-f]{12}\n.*Step 3 : RUN .*\n ---> Running in [0-9a-f]{12}\n.*Successfully built [0-9a-f]{12}`)
		d.equal("what it made", d.run("run", "--rm", "--name", d.name("c"), name), who+"\na of "+t.Name()+"\nb\nb\npart")
		second := d.run(arguments...)
		d.equal("steps from the cache", strconv.Itoa(strings.Count(second, "Using cache")), "8")
		last := func(said string) string { return said[strings.LastIndex(said, " ")+1:] }
		d.equal("the second image", last(second), last(first))
		d.matches("a quiet build", d.run(append(arguments, "-q")...), `^sha256:[0-9a-f]{64}$`)

		failing := contextOf(t, "Dockerfile", "FROM busybox\nRUN echo before; exit 37\n")
		d.fails(37, `The command '/bin/sh -c echo before; exit 37' returned a non-zero code: 37`, "build", failing)
		d.fails(1, `(?i)Dockerfile line 3: unknown instruction: NOSUCH`, "build", contextOf(t, "Dockerfile", "FROM busybox\n\nNOSUCH thing\n"))
		d.equal("containers left", d.run("ps", "-a", "-q", "--filter", "ancestor="+name), "")
	})
}

// docker-compose builds the image of a service. By default 1.29 has the docker
// command build, and reads the image's id from a message that engines send from
// version 1.30 of the API on; COMPOSE_DOCKER_CLI_BUILD=0 has it ask the engine itself.
func TestComposeBuild(t *testing.T) {
	t.Parallel()
	c := newCompose(t, engine, "", "berthbuild", "web:\n  build: here\n  command: sh -c 'cat /made; sleep 1000'\n")
	c.environment = []string{"COMPOSE_DOCKER_CLI_BUILD=0"}
	t.Cleanup(func() { c.docker.try("", "rmi", "-f", "berthbuild_web") })
	if err := os.CopyFS(filepath.Join(c.dir, "here"), os.DirFS(contextOf(t, "Dockerfile", "FROM busybox\nCOPY word /word\nRUN cat /word > /made\n", "word", "composed\n"))); err != nil {
		t.Fatal(err)
	}
	c.docker.matches("build", c.run("build"), `Successfully built [0-9a-f]{12}`)
	c.run("up", "-d", "--no-build")
	web := c.container("web", 1)
	eventually(t, "what the build made is in the log", func() bool { return c.docker.run("logs", web) == "composed" })
	c.run("down", "-v", "-t", "0")
	c.gone()
}
