package logs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is one file of a log at the moment of a look.
type segment struct {
	path   string
	number int // 0 is the newest, the one that is written to
	info   os.FileInfo
}

// list returns the segments of a log, oldest first. A rotation renames from the
// highest number down, so that the order by number is right at every moment of
// it, also while a number is missing.
func list(path string) ([]segment, error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read log: %w", err)
	}
	var found []segment
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), base)
		if !ok {
			continue
		}
		number := 0
		if rest != "" {
			n, err := strconv.Atoi(strings.TrimPrefix(rest, "."))
			if err != nil || n < 1 || rest != "."+strconv.Itoa(n) {
				continue
			}
			number = n
		}
		if info, err := e.Info(); err == nil {
			found = append(found, segment{filepath.Join(dir, e.Name()), number, info})
		}
	}
	slices.SortFunc(found, func(a, b segment) int { return b.number - a.number })
	return found, nil
}

func sameSegments(a, b []segment) bool {
	return slices.EqualFunc(a, b, func(x, y segment) bool {
		return x.number == y.number && os.SameFile(x.info, y.info)
	})
}

// settled calls use with a list of the segments and repeats that until no
// rotation came in between. What use opened is closed again before a repeat.
func settled(path string, use func([]segment) (*file, error)) (*file, error) {
	var err error
	for range 200 {
		var before, after []segment
		if before, err = list(path); err != nil {
			return nil, err
		}
		var f *file
		f, err = use(before)
		if err == nil {
			if after, err = list(path); err == nil && sameSegments(before, after) {
				return f, nil
			}
		}
		if f != nil {
			f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("read log: %s is rotated faster than it can be read: %w", path, err)
}
