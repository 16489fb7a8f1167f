package disk

import (
	"cmp"
	"fmt"
)

// Control is what the server does for its client (net/rpc).
type Control struct{ root *directory }

// Made says what a new disk is.
type Made struct {
	Name string
	// Path is a file with its first content; empty for an empty file.
	Path string
	// Disk says that it is one, and no file that is mapped.
	Disk bool
	// Recorded says that what it takes is kept.
	Recorded bool
	// Sector is what a recorded disk writes as a whole; 0 means Sector, the constant.
	Sector int
	// Atomic are the parts of a recorded disk where no write is torn: a file system
	// may need its superblock, of more than one sector, as a whole.
	Atomic []Range
}

// Empty is an answer without content.
type Empty struct{}

// Make adds a disk.
func (c *Control) Make(m Made, _ *Empty) error {
	content := newImage(0)
	if m.Path != "" {
		var err error
		if content, err = readImage(m.Path); err != nil {
			return err
		}
	}
	f := &file{disk: m.Disk, content: content}
	if m.Recorded {
		f.taken = &recording{base: content.clone(), sector: cmp.Or(m.Sector, Sector), atomic: m.Atomic}
	}
	return c.add(m.Name, f)
}

func (c *Control) add(name string, f *file) error {
	c.root.mu.Lock()
	defer c.root.mu.Unlock()
	if c.root.files[name] != nil {
		return fmt.Errorf("there is a disk %s", name)
	}
	c.root.files[name] = f
	return nil
}

// Drop forgets a disk that nobody uses any more.
func (c *Control) Drop(name string, _ *Empty) error {
	c.root.mu.Lock()
	defer c.root.mu.Unlock()
	delete(c.root.files, name)
	return nil
}

func (c *Control) recorded(name string) (*file, error) {
	f := c.root.file(name)
	if f == nil || f.taken == nil {
		return nil, fmt.Errorf("no disk %s is recorded", name)
	}
	return f, nil
}

// Taken gives the number of requests that a disk has taken.
func (c *Control) Taken(name string, n *int) error {
	f, err := c.recorded(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	*n = len(f.taken.requests)
	return nil
}

// Requests gives all requests that a disk has taken.
func (c *Control) Requests(name string, list *[]Request) error {
	f, err := c.recorded(name)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.taken.requests {
		*list = append(*list, q.Request)
	}
	return nil
}

// Loss asks for a disk that is what another one would be after power went.
type Loss struct {
	From, To string
	Cut      Cut
	// Recorded says that what the new one takes is kept, too.
	Recorded bool
}

// Lose makes such a disk.
func (c *Control) Lose(l Loss, _ *Empty) error {
	f, err := c.recorded(l.From)
	if err != nil {
		return err
	}
	f.mu.Lock()
	if l.Cut.At < 0 || l.Cut.At > len(f.taken.requests) {
		f.mu.Unlock()
		return fmt.Errorf("disk %s has taken %d requests, not %d", l.From, len(f.taken.requests), l.Cut.At)
	}
	left := &file{disk: f.disk, content: f.taken.cut(l.Cut)}
	f.mu.Unlock()
	if l.Recorded {
		left.taken = &recording{base: left.content.clone(), sector: f.taken.sector, atomic: f.taken.atomic}
	}
	return c.add(l.To, left)
}
