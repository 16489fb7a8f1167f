package berth

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/seed-50ced230/berth/"

// rooms lists where packages live, longest prefix first within a room's own
// tree, with the storey of each: an import goes to a lower storey or stays in
// its room. Everything below impl/ that is not listed is a noun of the engine
// and knows no other noun.
var rooms = []struct {
	prefix string
	storey int
}{
	{"cmd/", 10},
	{"conformance/", 9},
	{"clienttest", 9},
	{"endurance", 9},
	{"powertest", 9},
	{"fieldtest", 9},
	{"buildtest", 9},
	{"cgroup2test", 9},
	{"packagetest", 9},
	{"docs", 9},
	{"bench", 9},
	{"testbed", 8}, // what tests drive: daemons, registries, images
	{"gen/client/", 7},
	{"impl/api/bind", 4}, // the generic functions that generated routes call
	{"impl/api/listen", 2},
	{"impl/api", 7},
	{"impl/engine", 7},
	{"impl/doctor", 7}, // looks at the host for all of the others
	{"clients/go", 8},  // beside the generated clients, for Go programs
	{"gen/hub/models", 2},
	{"gen/hub/routes", 5},
	{"gen/hub", 3},
	{"gen", 6},
	{"impl/changes", 4},
	{"impl/grant", 4}, // wraps what gen/hub declares
	{"impl/container", 3},
	{"impl/config", 1},
	{"impl/stream", 0},
	{"impl/wire", 0},
	{"impl/atomicfile", -1}, // databases are put in their places with it, too
	{"impl/database", 0},
	{"impl/manual", 0},
	{"impl/fault", 0},
	{"impl/thread", 0},
	{"impl/userns", 0}, // what layers, networks and processes have in common in a user namespace
	{"spec", 0},
	{"impl/", 1},
}

// neighbours are the imports between rooms of one storey that are meant.
var neighbours = map[string]string{
	"impl/build":       "impl/image",  // a build makes images
	"impl/volume":      "impl/plugin", // programs that keep volumes
	"impl/network":     "impl/plugin", // programs that keep networks
	"impl/authz":       "impl/plugin", // programs that allow requests
	"impl/containerfs": "impl/image",  // a container's tree lies on its image's layers
}

// room returns the room of a package, "impl/image" for impl/image/layer, and
// its storey.
func room(pkg string) (name string, storey int, ok bool) {
	for _, r := range rooms {
		if pkg != strings.TrimSuffix(r.prefix, "/") && !strings.HasPrefix(pkg, strings.TrimSuffix(r.prefix, "/")+"/") {
			continue
		}
		if r.prefix != "impl/" && r.prefix != "cmd/" {
			return strings.TrimSuffix(r.prefix, "/"), r.storey, true
		}
		// Each folder is a room of its own.
		steps := strings.SplitN(pkg, "/", 3)
		return strings.Join(steps[:2], "/"), r.storey, true
	}
	return "", 0, false
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-json=ImportPath,Imports,Deps"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// TestImportsPointOneWay fails on an arrow that points back: see rooms.
func TestImportsPointOneWay(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, ok := strings.CutPrefix(p.ImportPath, module)
		if !ok {
			continue // this package
		}
		fromRoom, fromStorey, ok := room(from)
		if !ok {
			t.Errorf("%s is in no room", from)
			continue
		}
		for _, imported := range p.Imports {
			to, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			toRoom, toStorey, ok := room(to)
			switch {
			case !ok:
				t.Errorf("%s imports %s, which is in no room", from, to)
			case toRoom == fromRoom, toStorey < fromStorey, neighbours[fromRoom] == toRoom && toRoom != "":
			default:
				t.Errorf("%s imports %s: %s must not know %s", from, to, fromRoom, toRoom)
			}
		}
	}
}

// TestShimIsSmall keeps the store and the generated code out of the program
// that runs once per container: its size and start time are paid every time.
func TestShimIsSmall(t *testing.T) {
	for _, p := range list(t, "./cmd/berth-shim") {
		for _, dep := range p.Deps {
			own, isOwn := strings.CutPrefix(dep, module)
			switch {
			case isOwn && (strings.HasPrefix(own, "gen") || own == "spec"),
				isOwn && strings.HasPrefix(own, "impl/") && !strings.HasPrefix(own, "impl/runtime") && own != "impl/fault" && own != "impl/logs" && own != "impl/userns" && own != "impl/atomicfile":
				t.Errorf("berth-shim reaches %s", own)
			case strings.HasPrefix(dep, "github.com/go-openapi/"), strings.HasPrefix(dep, "go.etcd.io/bbolt"),
				strings.HasPrefix(dep, "oras.land/"), strings.HasPrefix(dep, "github.com/containerd/containerd/"), dep == "net/http":
				t.Errorf("berth-shim reaches %s", dep)
			}
		}
	}
}

// TestRooms shows that the rules refuse what they are there to refuse.
func TestRooms(t *testing.T) {
	for _, c := range []struct {
		pkg, room string
		storey    int
	}{
		{"impl/image/layer", "impl/image", 1},
		{"impl/api/bind", "impl/api/bind", 4},
		{"impl/api", "impl/api", 7},
		{"gen/v1_18/models", "gen", 6},
		{"gen/hub/models", "gen/hub/models", 2},
		{"cmd/berthd", "cmd/berthd", 10},
	} {
		name, storey, ok := room(c.pkg)
		if !ok || name != c.room || storey != c.storey {
			t.Errorf("%s: room %q storey %d", c.pkg, name, storey)
		}
	}
	if _, _, ok := room("elsewhere"); ok {
		t.Error("a package outside has a room")
	}
}
