package container

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/gen/hub/models"
)

func record(id, name string) *Record {
	return &Record{ID: id, Name: "/" + name, Created: time.Now(), Config: &models.ContainerConfig{}, HostConfig: &models.HostConfig{}}
}

func TestGet(t *testing.T) {
	r := NewRegistry()
	a, b := strings.Repeat("a", 64), "ab"+strings.Repeat("c", 62)
	r.Add(New(record(a, "one")))
	r.Add(New(record(b, "aaa"))) // a name that is a prefix of the other's id
	for ref, want := range map[string]string{a: a, "one": a, "/one": a, "aa": a, "ab": b, "aaa": b, b[:12]: b} {
		if c, err := r.Get(ref); err != nil || c.ID != want {
			t.Errorf("%q: %v, %v", ref, c, err)
		}
	}
	for ref, class := range map[string]func(error) bool{"a": errdefs.IsInvalidArgument, "": errdefs.IsNotFound, "none": errdefs.IsNotFound, "/": errdefs.IsNotFound} {
		if c, err := r.Get(ref); !class(err) {
			t.Errorf("%q: %v, %v", ref, c, err)
		}
	}
	r.Remove(a)
	if _, err := r.Get("one"); !errdefs.IsNotFound(err) {
		t.Errorf("the name of a removed container: %v", err)
	}
}

func TestANameBelongsToOne(t *testing.T) {
	r := NewRegistry()
	const n = 50
	won := make(chan string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := fmt.Sprint(i)
			if err := r.Reserve("/x", id); err == nil {
				won <- id
			} else if !errdefs.IsConflict(err) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(won)
	if len(won) != 1 {
		t.Fatalf("%d containers got the name", len(won))
	}
	owner := <-won
	r.Release("/x", "somebody else")
	if err := r.Reserve("/x", "another"); !errdefs.IsConflict(err) {
		t.Fatalf("released by a stranger: %v", err)
	}
	r.Release("/x", owner)
	if err := r.Reserve("/x", "another"); err != nil {
		t.Fatal(err)
	}
}

func TestAwaitMissesNothing(t *testing.T) {
	c := New(record("1", "c"))
	done := make(chan *Record)
	go func() {
		r, err := c.Await(t.Context(), func(r *Record) bool { return r.State.Status == Exited })
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	c.Update(func(r *Record) { r.State.Status = Running })
	c.Update(func(r *Record) { r.State.Status, r.State.ExitCode = Exited, 7 })
	if r := <-done; r.State.ExitCode != 7 {
		t.Fatalf("%+v", r.State)
	}
}

func TestSnapshotsDoNotChange(t *testing.T) {
	c := New(record("1", "c"))
	c.Update(func(r *Record) { r.Mounts = append(r.Mounts, Mount{Destination: "/a"}) })
	before := c.Record()
	c.Update(func(r *Record) { r.Mounts[0].Destination = "/b"; r.Name = "/d" })
	if before.Mounts[0].Destination != "/a" || before.Name != "/c" {
		t.Fatalf("an old snapshot changed: %+v", before)
	}
}

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "containers.db")
	s, err := OpenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("opened twice: %v", err)
	}
	one := record("1", "one")
	one.State = State{Status: Exited, ExitCode: 3, StartedAt: time.Now().UTC()}
	one.Network.Ports = map[string][]models.PortBinding{"80/tcp": {{HostPort: "1"}}}
	for _, r := range []*Record{one, record("2", "two")} {
		if err := s.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete("2"); err != nil {
		t.Fatal(err)
	}
	broken := record("3", "three")
	broken.Config = nil
	if err := s.Put(broken); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenStore(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var bad []string
	records, err := s.Load(func(id string, err error) { bad = append(bad, id) })
	if err != nil || len(records) != 1 || len(bad) != 1 || bad[0] != "3" {
		t.Fatalf("%v, bad %v, %v", records, bad, err)
	}
	if got := records[0]; got.State != one.State || got.Name != "/one" || got.Network.Ports["80/tcp"][0].HostPort != "1" {
		t.Fatalf("%+v", got)
	}
}
