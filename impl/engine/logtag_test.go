package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub/models"
)

func TestLogTag(t *testing.T) {
	info := &logInfo{ID: "0123", Name: "web", ImageName: "a/b:c", Command: "sh -c x"}
	for in, want := range map[string]string{
		"": "0123", "plain": "plain", "{{.Name}}/{{.ID}}": "web/0123", `{{printf "%.2s-%5s" .ID .Name}}`: "01-  web", "{{upper .Name | lower}}": "web",
		`{{if eq .Name "web"}}yes{{else}}no{{end}}`: "yes", `{{with .Name}}{{.}}{{end}}`: "web", `{{json .Name}}`: `"web"`, `{{index (split .ImageName "/") 1}}`: "b:c",
		`{{join (split .Command " ") "_"}}`: "sh_-c_x", `{{html "<"}}`: "&lt;", `{{$x := .ID}}{{$x}}`: "0123", `{{print .ID 1}}`: "01231", `{{len .Name}}`: "3",
	} {
		if got, err := logTag(map[string]string{"tag": in}, info); err != nil || got != want {
			t.Errorf("%s: %q %v, wanted %q", in, got, err, want)
		}
	}
}

// TestLogTagIsBounded: a tag is a client's program, which may take neither the
// daemon's time nor its memory.
func TestLogTagIsBounded(t *testing.T) {
	double := strings.Repeat(` | printf "%[1]s%[1]s"`, 60)
	for _, in := range []string{
		"{{range 1000000000000}}{{end}}", "{{range .ID}}x{{end}}", `{{define "a"}}{{template "a"}}{{end}}{{template "a"}}`, `{{printf "%1000000d" 1}}`,
		`{{printf "%*d" 100000000 1}}`, `{{printf "%.99999999f" 1.0}}`, `{{.ID` + double + `}}`, `{{html "` + strings.Repeat("<", 1500) + `"}}`,
		`{{$x := printf "%999d" 1}}` + strings.Repeat(`{{$x = join (split $x "") $x}}`, 5), strings.Repeat("x", 1<<20), strings.Repeat("{{.Command}}", 300),
		`{{block "a" .}}{{template "a"}}{{end}}`, `{{$x := "a"}}` + strings.Repeat(`{{$x = print $x $x}}`, 60), `{{"a"` + strings.Repeat(` | json`, 60) + `}}`,
		`{{if true}}{{range 1000000000000}}{{end}}{{end}}`, `{{define "b"}}{{range 1000000000000}}{{end}}{{end}}x`,
	} {
		began := time.Now()
		_, err := logTag(map[string]string{"tag": in}, &logInfo{ID: "0123", Command: strings.Repeat("y", 4096)})
		if !errdefs.IsInvalidArgument(err) || time.Since(began) > 10*time.Second || len(err.Error()) > 10_000 {
			t.Errorf("%.100s: %.200v after %v", in, err, time.Since(began))
		}
	}
}

// TestPortsAreBounded: ranges of ports are counted before they are made.
func TestPortsAreBounded(t *testing.T) {
	bindings := models.PortMap{}
	for _, from := range []string{"1", "01", "001", "2", "02", "3", "4", "5"} {
		bindings[from+"-65535/tcp"] = nil
	}
	if err := checkPortBindings(bindings); !errdefs.IsInvalidArgument(err) {
		t.Errorf("%v", err)
	}
	if err := checkPortBindings(models.PortMap{"1-65535/tcp": nil, "1-65535/udp": nil}); err != nil {
		t.Error(err)
	}
}
