package disk

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

// image is the content of a disk: pages that nobody changes once they are in it, so that
// a copy costs no more than the list of them. nil is a page of zeros.
type image struct {
	size  int64
	pages [][]byte
}

func newImage(size int64) *image {
	return &image{size: size, pages: make([][]byte, (size+pageSize-1)/pageSize)}
}

// readImage reads a file; its holes cost nothing.
func readImage(path string) (*image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := newImage(info.Size())
	for at := int64(0); ; {
		from, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		if at, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		data := make([]byte, at-from)
		if _, err := f.ReadAt(data, from); err != nil && err != io.EOF {
			return nil, err
		}
		m.write(from, data)
	}
}

func (m *image) clone() *image {
	return &image{m.size, append([][]byte(nil), m.pages...)}
}

// write puts data at a position. Beyond the end the image grows.
func (m *image) write(at int64, data []byte) {
	if end := at + int64(len(data)); end > m.size {
		m.resize(end)
	}
	for len(data) > 0 {
		n, off := at/pageSize, int(at%pageSize)
		page := make([]byte, pageSize)
		copy(page, m.pages[n])
		done := copy(page[off:], data)
		m.pages[n] = page
		at, data = at+int64(done), data[done:]
	}
}

// resize cuts off or adds zeros.
func (m *image) resize(size int64) {
	for int64(len(m.pages))*pageSize < size {
		m.pages = append(m.pages, nil)
	}
	m.pages = m.pages[:(size+pageSize-1)/pageSize]
	if keep := size % pageSize; size < m.size && keep > 0 && m.pages[len(m.pages)-1] != nil {
		page := make([]byte, pageSize)
		copy(page, m.pages[len(m.pages)-1][:keep])
		m.pages[len(m.pages)-1] = page
	}
	m.size = size
}

// read fills data from a position on and gives the number of bytes that there were.
func (m *image) read(at int64, data []byte) (n int) {
	data = data[:max(0, min(int64(len(data)), m.size-at))]
	clear(data)
	for n < len(data) {
		page, off := m.pages[at/pageSize], int(at%pageSize)
		step := min(pageSize-off, len(data)-n)
		if page != nil {
			copy(data[n:], page[off:off+step])
		}
		n, at = n+step, at+int64(step)
	}
	return n
}
