package build

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/image/layer"
)

// readContext puts the build's files into a directory of their own.
func (s *session) readContext(ctx context.Context) error {
	if s.req.Remote != "" {
		return s.readRemote(ctx)
	}
	if s.req.Context == nil {
		return fault.Invalid("a build needs a context: an archive in the body, or the parameter remote")
	}
	return s.unpackContext(ctx, s.req.Context)
}

// unpackContext unpacks a tar, which may be compressed, as the context.
func (s *session) unpackContext(ctx context.Context, r io.Reader) error {
	plain, err := layer.Decompress(ctx, r)
	if err != nil {
		return err
	}
	defer plain.Close()
	if err := s.makeFiles(); err != nil {
		return err
	}
	x := extraction{to: s.files, below: ".", limits: s.limits}
	return x.extract(ctx, bufio.NewReaderSize(plain, 256<<10))
}

func (s *session) makeFiles() error {
	dir := filepath.Join(s.dir, "context")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fault.Internal("make the directory for the build context: %w", err)
	}
	var err error
	s.files, err = openTree(dir)
	return err
}

// defaultDockerfile is looked for when the request names none.
const defaultDockerfile = "Dockerfile"

// parseDockerfile reads the Dockerfile from the context. Without a name of the
// client's it may also be spelled in lower case.
func (s *session) parseDockerfile() (*dockerfile, error) {
	if s.dockerfile == nil {
		name := s.req.Dockerfile
		if name == "" {
			name = defaultDockerfile
		}
		data, err := s.readDockerfile(name)
		if errors.Is(err, fs.ErrNotExist) && name == defaultDockerfile {
			data, err = s.readDockerfile("dockerfile")
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Invalid("Cannot locate specified Dockerfile: %s", name)
		}
		if err != nil {
			return nil, err
		}
		if len(data) == 0 {
			return nil, fault.Invalid("The Dockerfile (%s) cannot be empty", name)
		}
		s.dockerfile = data
	}
	return parseDockerfile(s.dockerfile, s.req.Labels)
}

func (s *session) readDockerfile(name string) ([]byte, error) {
	at, info, err := s.files.stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Invalid("the Dockerfile %s is no file", name)
	}
	if info.Size() > s.limits.DockerfileBytes {
		return nil, fault.Invalid("the Dockerfile %s is longer than %d bytes", name, s.limits.DockerfileBytes)
	}
	return s.files.ReadFile(at)
}

// applyIgnoreFile takes what .dockerignore names out of the context. Clients
// that pack a context leave it out themselves (but for the two files that the
// engine reads); for a context from an address nobody else does.
func (s *session) applyIgnoreFile() error {
	if s.files == nil {
		return nil
	}
	at, info, err := s.files.stat(".dockerignore")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > s.limits.DockerfileBytes {
		return fault.Invalid(".dockerignore is no file, or longer than %d bytes", s.limits.DockerfileBytes)
	}
	f, err := s.files.Open(at)
	if err != nil {
		return err
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return fault.Invalid("read .dockerignore: %w", err)
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return fault.Invalid("read .dockerignore: %w", err)
	}
	return s.removeIgnored(m)
}

func (s *session) removeIgnored(m *patternmatcher.PatternMatcher) error {
	var dirs []string // that go if nothing is kept in them
	err := fs.WalkDir(s.files.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		ignored, err := m.MatchesOrParentMatches(p)
		switch {
		case err != nil:
			return fault.Invalid("match %s with .dockerignore: %w", p, err)
		case !ignored:
			return nil
		case d.IsDir() && m.Exclusions():
			dirs = append(dirs, p)
			return nil
		case d.IsDir():
			if err := s.files.RemoveAll(p); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return s.files.Remove(p)
	})
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(dirs) {
		entries, err := fs.ReadDir(s.files.FS(), p)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			if err := s.files.Remove(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// baseName is the last part of a path, without the slashes behind it.
func baseName(p string) string { return path.Base(path.Clean("/" + p)) }
