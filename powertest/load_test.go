package powertest

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-50ced230/berth/impl/image/testimage"
	"github.com/seed-50ced230/berth/impl/image/testregistry"
	"github.com/seed-50ced230/berth/impl/network/netns"
	"github.com/seed-50ced230/berth/testbed/busybox"
)

// load is what clients ask of an engine, one after another: were there several at once,
// one's flushes would make another's things safe.
type load struct {
	*engine
	*ledger
	random *rand.Rand
	number int
	// registry is its address.
	registry string
	// images are the names of those that can go; boxes the containers that do not run.
	images, boxes, volumes, networks []string
}

// archive is a small image whose layers nobody else has.
func (l *load) archive(name string) ([]byte, error) {
	var b bytes.Buffer
	err := testimage.Write(&b, testimage.Image{Tags: []string{name}, Layers: [][]testimage.File{
		{{Name: "etc/"}, {Name: "etc/name", Body: []byte(name)}},
		{{Name: "data", Body: bytes.Repeat([]byte(name+"\n"), 1000)}, {Name: "link", Linkname: "data", Typeflag: tar.TypeSymlink}},
	}})
	return b.Bytes(), err
}

// begin makes what all else stands on.
func (l *load) begin() error {
	var b bytes.Buffer
	if err := busybox.Archive(&b, "busybox:latest"); err != nil {
		return err
	}
	if err := l.image("busybox:latest", http.MethodPost, "/images/load", raw{"application/x-tar", b.Bytes()}); err != nil {
		return err
	}
	l.images = nil // this one stays
	files := map[string]string{"Dockerfile": "FROM busybox\nCOPY data /data\nVOLUME /data\nCMD [\"cat\", \"/data/a\"]\n"}
	for _, name := range contents {
		files["data/"+name] = content(name)
	}
	err := l.image("data:latest", http.MethodPost, "/build?t=data:latest", raw{"application/x-tar", pack(files)})
	l.images = nil
	return err
}

// contents are the files in the volume of the image data.
var contents = []string{"a", "b", "folder/c"}

func content(name string) string { return strings.Repeat(name+" is here\n", 2000) }

// operations are what is asked for; each once, in this order, and then as drawn.
func (l *load) operations() []func(name string) error {
	return []func(string) error{
		l.loadImage, l.makeVolume, l.makeBox, l.makeNetwork, l.importImage, l.tagImage, l.runBox, l.buildImage, l.commitImage, l.makeDataBox,
		l.pushAndPull, l.renameBox, l.stopBox, l.writeVolume, l.orphanBox, l.limitBox, l.connectBox, l.makeBox, l.removeBox, l.removeImage, l.removeVolume, l.removeNetwork, l.makeAnonymous, l.dropOrphan,
	}
}

// work does every operation, and so many drawn ones.
func (l *load) work(t *testing.T, drawn int) {
	t.Helper()
	all := l.operations()
	for i := range len(all) + drawn {
		operation := all[min(i, len(all)-1)]
		if i >= len(all) {
			operation = all[l.random.IntN(len(all))]
		}
		l.number++
		if err := operation(fmt.Sprintf("x%d", l.number)); err != nil {
			t.Fatalf("the load: %v", err)
		}
	}
}

// take removes and gives one of a list, empty if there is none.
func (l *load) take(list *[]string) string {
	if len(*list) == 0 {
		return ""
	}
	i := l.random.IntN(len(*list))
	name := (*list)[i]
	*list = append((*list)[:i:i], (*list)[i+1:]...)
	return name
}

// image asks for something after which there is an image of the name.
func (l *load) image(name, method, path string, body any) error {
	asked := l.now()
	if _, err := l.ask(method, path, body); err != nil {
		return err
	}
	now := l.now() // before the next question
	if strings.HasPrefix(path, "/build") {
		l.builds = append(l.builds, [2]int{asked, now})
	}
	i, err := get[struct{ ID string }](l.engine, "/images/"+name+"/json")
	if err != nil {
		return err
	}
	l.told = append(l.told, answer{"image " + name, i.ID, asked, now})
	l.images = append(l.images, name)
	return nil
}

func (l *load) loadImage(name string) error {
	body, err := l.archive(name + ":latest")
	if err != nil {
		return err
	}
	return l.image(name+":latest", http.MethodPost, "/images/load", raw{"application/x-tar", body})
}

func (l *load) importImage(name string) error {
	return l.image(name+":latest", http.MethodPost, "/images/create?fromSrc=-&repo="+name, raw{"application/x-tar", pack(map[string]string{"file": name})})
}

func (l *load) tagImage(name string) error {
	return l.image(name+":tag", http.MethodPost, "/images/busybox/tag?tag=tag&repo="+name, nil)
}

func (l *load) buildImage(name string) error {
	return l.image(name+":latest", http.MethodPost, "/build?t="+name, raw{"application/x-tar", pack(map[string]string{
		"Dockerfile": "FROM busybox\nCOPY file /file\nRUN cp /file /copy\nENV A=b\n", "file": strings.Repeat(name, 5000),
	})})
}

// commitImage commits what was put into a container.
func (l *load) commitImage(name string) error {
	if err := l.makeBox(name); err != nil {
		return err
	}
	if _, err := l.ask(http.MethodPut, "/containers/"+name+"/archive?path=/", raw{"application/x-tar", pack(map[string]string{"put": name})}); err != nil {
		return err
	}
	return l.image(name+":latest", http.MethodPost, "/commit?container="+name+"&repo="+name, map[string]any{})
}

// pushAndPull pulls an image that the registry has from here.
func (l *load) pushAndPull(name string) error {
	repository := l.registry + "/" + name
	body, err := l.archive(repository + ":latest")
	if err != nil {
		return err
	}
	full := repository + ":latest"
	if err := l.image(full, http.MethodPost, "/images/load", raw{"application/x-tar", body}); err != nil {
		return err
	}
	if _, err := l.ask(http.MethodPost, "/images/"+repository+"/push?tag=latest", nil); err != nil {
		return err
	}
	l.images = l.images[:len(l.images)-1]
	if err := l.dropImage(full); err != nil {
		return err
	}
	return l.image(full, http.MethodPost, "/images/create?tag=latest&fromImage="+repository, nil)
}

func (l *load) removeImage(name string) error {
	image := l.take(&l.images)
	if image == "" {
		return l.tagImage(name)
	}
	return l.dropImage(image)
}

func (l *load) dropImage(image string) error {
	return l.drop("/images/"+image+"?force=1", "image "+image)
}

// drop asks for a removal.
func (l *load) drop(path string, things ...string) error {
	asked := l.now()
	if _, err := l.ask(http.MethodDelete, path, nil); err != nil {
		return err
	}
	gone := map[string]string{}
	for _, thing := range things {
		gone[thing] = ""
	}
	l.tell(asked, gone)
	return nil
}

// dropOrphan makes one and removes it, and with it the last that keeps its layers.
func (l *load) dropOrphan(name string) error {
	if err := l.orphanBox(name); err != nil {
		return err
	}
	l.boxes = l.boxes[:len(l.boxes)-1]
	return l.drop("/containers/"+name, "container "+name)
}

// makeBox makes a container that writes a file, as a program does that means it, and
// ends.
func (l *load) makeBox(name string) error {
	return l.box(name, map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", "echo kept | dd of=/file conv=fsync; exit 7"}}, nil)
}

// orphanBox makes a container whose image goes.
func (l *load) orphanBox(name string) error {
	if err := l.buildImage(name); err != nil {
		return err
	}
	if err := l.box(name, map[string]any{"Image": name, "Cmd": []string{"true"}}, nil); err != nil {
		return err
	}
	l.images = l.images[:len(l.images)-1]
	return l.dropImage(name + ":latest")
}

func (l *load) box(name string, config map[string]any, more map[string]string) error {
	asked := l.now()
	text, err := l.ask(http.MethodPost, "/containers/create?name="+name, config)
	if err != nil {
		return err
	}
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	things := map[string]string{"container " + name: made.ID}
	for thing, value := range more {
		things[thing] = value
	}
	l.tell(asked, things)
	l.boxes = append(l.boxes, name)
	return nil
}

// limitBox gives a container another limit.
func (l *load) limitBox(name string) error {
	if err := l.makeBox(name); err != nil {
		return err
	}
	asked := l.now()
	if _, err := l.ask(http.MethodPost, "/containers/"+name+"/update", map[string]any{"Memory": 64 << 20}); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"limit of " + name: fmt.Sprint(64 << 20)})
	return nil
}

// connectBox has a container join a network of its own.
func (l *load) connectBox(name string) error {
	if err := l.makeBox(name); err != nil {
		return err
	}
	if err := l.makeNetwork(name); err != nil {
		return err
	}
	l.networks = l.networks[:len(l.networks)-1]
	asked := l.now()
	if _, err := l.ask(http.MethodPost, "/networks/"+name+"/connect", map[string]any{"Container": name}); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"networks of " + name: "bridge " + name})
	return nil
}

// makeDataBox makes a container and, with the image's content, a volume.
func (l *load) makeDataBox(name string) error {
	return l.box(name, map[string]any{"Image": "data", "HostConfig": map[string]any{"Binds": []string{name + ":/data"}}},
		map[string]string{"volume " + name: "made", "content of " + name: "whole"})
}

// makeAnonymous makes a container with a volume that goes with it, and removes both.
func (l *load) makeAnonymous(name string) error {
	asked := l.now()
	if err := l.box(name, map[string]any{"Image": "data"}, nil); err != nil {
		return err
	}
	now := l.now()
	c, err := get[struct{ Mounts []struct{ Name string } }](l.engine, "/containers/"+name+"/json")
	if err != nil {
		return err
	}
	if len(c.Mounts) != 1 {
		return fmt.Errorf("container %s has %d volumes", name, len(c.Mounts))
	}
	volume := c.Mounts[0].Name
	l.told = append(l.told, answer{"volume " + volume, "made", asked, now}, answer{"content of " + volume, "whole", asked, now})
	l.boxes = l.boxes[:len(l.boxes)-1]
	return l.drop("/containers/"+name+"?v=1", "container "+name, "volume "+volume, "content of "+volume)
}

// runBox runs a container to its end.
func (l *load) runBox(name string) error {
	if err := l.makeBox(name); err != nil {
		return err
	}
	asked := l.now()
	if err := l.run(name); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"file of " + name: "kept\n"})
	return nil
}

func (l *load) run(name string) error {
	asked := l.now()
	if _, err := l.ask(http.MethodPost, "/containers/"+name+"/start", nil); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"end of " + name: "none"})
	text, err := l.ask(http.MethodPost, "/containers/"+name+"/wait", nil)
	if err != nil {
		return err
	}
	var end struct{ StatusCode int }
	if err := json.Unmarshal(text, &end); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"end of " + name: fmt.Sprint(end.StatusCode)})
	return nil
}

// stopBox starts a container and stops it.
func (l *load) stopBox(name string) error {
	if err := l.box(name, map[string]any{"Image": "busybox", "Cmd": []string{"sleep", "1000"}}, nil); err != nil {
		return err
	}
	asked := l.now()
	if _, err := l.ask(http.MethodPost, "/containers/"+name+"/start", nil); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"end of " + name: "none"})
	asked = l.now()
	if _, err := l.ask(http.MethodPost, "/containers/"+name+"/stop?t=0", nil); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"end of " + name: "137"})
	return nil
}

// ofBox are the things that go with a container's name.
var ofBox = []string{"container ", "end of ", "file of ", "limit of ", "networks of "}

func (l *load) renameBox(name string) error {
	old := l.take(&l.boxes)
	if old == "" {
		return l.makeBox(name)
	}
	asked := l.now()
	if _, err := l.ask(http.MethodPost, "/containers/"+old+"/rename?name="+name, nil); err != nil {
		return err
	}
	things := map[string]string{}
	for _, of := range ofBox {
		if value := l.last(of + old); value != "" {
			things[of+old], things[of+name] = "", value
		}
	}
	l.tell(asked, things)
	l.boxes = append(l.boxes, name)
	return nil
}

func (l *load) removeBox(name string) error {
	box := l.take(&l.boxes)
	if box == "" {
		return l.makeBox(name)
	}
	var things []string
	for _, of := range ofBox {
		things = append(things, of+box)
	}
	return l.drop("/containers/"+box, things...)
}

func (l *load) makeVolume(name string) error {
	asked := l.now()
	if _, err := l.ask(http.MethodPost, "/volumes/create", map[string]any{"Name": name, "Labels": map[string]string{"a": "b"}}); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"volume " + name: "made"})
	l.volumes = append(l.volumes, name)
	return nil
}

func (l *load) removeVolume(name string) error {
	volume := l.take(&l.volumes)
	if volume == "" {
		return l.makeVolume(name)
	}
	return l.drop("/volumes/"+volume, "volume "+volume, "file in "+volume)
}

// writeVolume has a container write a file, as a program does that means it.
func (l *load) writeVolume(name string) error {
	if err := l.makeVolume(name); err != nil {
		return err
	}
	err := l.box(name, map[string]any{"Image": "busybox", "Cmd": []string{"sh", "-c", "echo kept | dd of=/v/file conv=fsync"},
		"HostConfig": map[string]any{"Binds": []string{name + ":/v"}}}, nil)
	if err != nil {
		return err
	}
	l.volumes = l.volumes[:len(l.volumes)-1] // which the container keeps
	asked := l.now()
	if err := l.run(name); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"file in " + name: "kept\n"})
	return nil
}

func (l *load) makeNetwork(name string) error {
	asked := l.now()
	text, err := l.ask(http.MethodPost, "/networks/create", map[string]any{"Name": name, "CheckDuplicate": true})
	if err != nil {
		return err
	}
	var made struct{ ID string }
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	l.tell(asked, map[string]string{"network " + name: made.ID})
	l.networks = append(l.networks, name)
	return nil
}

func (l *load) removeNetwork(name string) error {
	network := l.take(&l.networks)
	if network == "" {
		return l.makeNetwork(name)
	}
	return l.drop("/networks/"+network, "network "+network)
}

// pack is a tar with files, in the order of their names.
func pack(files map[string]string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sorted(files) {
		// bytes.Buffer does not fail.
		_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(files[name]))
	}
	_ = w.Close()
	return b.Bytes()
}

// serveRegistry serves a registry inside a network namespace.
func serveRegistry(t *testing.T, namespace string) (address string) {
	t.Helper()
	r := testregistry.New()
	t.Cleanup(r.Close)
	var listener net.Listener
	err := netns.Do(namespace, func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:5000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}
