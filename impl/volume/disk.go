package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-50ced230/berth/impl/atomicfile"
)

// definition is volume.json. A directory below volumes without one is a volume
// whose making or removal was interrupted.
type definition struct {
	Version int               `json:"version"`
	Name    string            `json:"name"`
	Driver  string            `json:"driver"`
	Labels  map[string]string `json:"labels,omitempty"`
	Options map[string]string `json:"options,omitempty"`
	Created time.Time         `json:"created"`
}

const definitionVersion = 1

const (
	dataDir        = "_data"
	usersDir       = "users"
	mountsDir      = "mounts"
	definitionFile = "volume.json"
	// populatedFile exists when the data were copied from an image;
	// populatingFile, with the directory, while they are being copied.
	populatedFile  = "populated"
	populatingFile = "populating"
)

func (v *volume) dataPath() string                 { return filepath.Join(v.dir, dataDir) }
func (v *volume) definitionPath() string           { return filepath.Join(v.dir, definitionFile) }
func (v *volume) userPath(container string) string { return filepath.Join(v.dir, usersDir, container) }

// dirName is the directory of a volume: its name, or where that is no name of
// this driver's form a hash that cannot be one.
func dirName(name string) string {
	if len(name) <= maxName && nameForm.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "=" + hex.EncodeToString(sum[:])
}

// Open reads the volumes below root/volumes, which it makes if needed, and
// removes what interruptions left there. plugins may be nil.
func Open(root string, plugins Plugins) (*Store, error) {
	abs, err := filepath.Abs(filepath.Join(root, "volumes"))
	if err != nil {
		return nil, fmt.Errorf("open volumes: %w", err)
	}
	// 0711 as for the volumes themselves: a container's user must be able to
	// pass to its data by a path, but not to list other volumes.
	if err := os.MkdirAll(abs, 0o711); err != nil {
		return nil, fmt.Errorf("open volumes: %w", err)
	}
	// As the kernel names what is mounted below (mountinfo).
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, fmt.Errorf("open volumes: %w", err)
	}
	s := &Store{dir: abs, plugins: plugins, volumes: make(map[string]*volume), lists: make(map[string]*listing)}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return nil, fmt.Errorf("open volumes: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		vol, err := load(filepath.Join(abs, e.Name()))
		if err != nil {
			// One broken volume must not keep the others from being served.
			slog.Error("a volume cannot be read; it is left as it is and not served", "volume", e.Name(), "error", err)
			continue
		}
		if vol != nil {
			s.volumes[vol.def.Name] = vol
		}
	}
	return s, nil
}

// load reads a volume; nil for one that is removed because it is incomplete.
func load(dir string) (*volume, error) {
	v := newVolume(dir, definition{})
	v.ready = true
	text, err := os.ReadFile(v.definitionPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, removeTree(dir)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &v.def); err != nil {
		return nil, fmt.Errorf("decode %s: %w", definitionFile, err)
	}
	if v.def.Version != definitionVersion {
		return nil, fmt.Errorf("%s has version %d; this engine knows %d", definitionFile, v.def.Version, definitionVersion)
	}
	if dirName(v.def.Name) != filepath.Base(dir) {
		return nil, fmt.Errorf("%s is of a volume named %q", definitionFile, v.def.Name)
	}
	users, err := os.ReadDir(filepath.Join(dir, usersDir))
	if err != nil {
		return nil, err
	}
	for _, u := range users {
		v.users[u.Name()] = struct{}{}
	}
	mounts, err := os.ReadDir(filepath.Join(dir, mountsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, m := range mounts {
		if v.mounts[m.Name()], err = v.ofEarlierBoot(m.Name()); err != nil {
			return nil, err
		}
	}
	// What has to be mounted for it is mended by the first Mount.
	if v.plain() && v.halfPopulated() {
		if err := v.unpopulate(v.dataPath()); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func newVolume(dir string, def definition) *volume {
	return &volume{dir: dir, def: def, users: make(map[string]struct{}),
		mounts: make(map[string]bool), stale: make(map[string]bool)}
}

// make writes a new volume; the definition comes last.
func (v *volume) make() (err error) {
	if err := os.Mkdir(v.dir, 0o711); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(v.dir))
		}
	}()
	if err := os.Mkdir(filepath.Join(v.dir, usersDir), 0o755); err != nil {
		return err
	}
	if v.def.Driver == DriverLocal {
		if err := os.Mkdir(v.dataPath(), 0o755); err != nil {
			return err
		}
		// Whatever the umask: containers of any user work in it.
		if err := os.Chmod(v.dataPath(), 0o755); err != nil {
			return err
		}
	}
	text, err := json.Marshal(v.def)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(v.definitionPath(), text, 0o600, atomicfile.Synced()); err != nil {
		return err
	}
	return atomicfile.SyncDir(filepath.Dir(v.dir))
}

// unmake removes a volume; the definition goes first, so that Open finishes an
// interrupted removal instead of showing half a volume, also after a loss of power.
func (v *volume) unmake() error {
	// A removal that failed before has removed it already.
	if err := os.Remove(v.definitionPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := atomicfile.SyncDir(v.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return removeTree(v.dir)
}

func (v *volume) has(file string) bool {
	_, err := os.Lstat(filepath.Join(v.dir, file))
	return err == nil
}

func (v *volume) populated() bool     { return v.has(populatedFile) }
func (v *volume) halfPopulated() bool { return v.has(populatingFile) }

// populate copies into dir, where the volume's data are. What was copied is on the disk
// before the mark that it is there, and that one when populate returns: a copy that a
// loss of power had emptied would be taken for the image's content for ever.
func (v *volume) populate(dir string, copy func(dir string) error) error {
	if v.populated() {
		return nil
	}
	done := filepath.Join(v.dir, populatedFile)
	if v.halfPopulated() {
		if err := v.unpopulate(dir); err != nil {
			return fmt.Errorf("populate volume %s: %w", v.def.Name, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("populate volume %s: %w", v.def.Name, err)
	}
	if len(entries) > 0 {
		return nil
	}
	marker := filepath.Join(v.dir, populatingFile)
	if err := os.WriteFile(marker, []byte(dir), 0o600); err != nil {
		return fmt.Errorf("populate volume %s: %w", v.def.Name, err)
	}
	if err := copy(dir); err != nil {
		return errors.Join(fmt.Errorf("populate volume %s: %w", v.def.Name, err), v.unpopulate(dir))
	}
	if entries, err = os.ReadDir(dir); err == nil && len(entries) == 0 {
		err = os.Remove(marker) // another image may have content for it
	} else if err == nil {
		if err = syncFiles(dir); err == nil {
			err = atomicfile.Rename(marker, done)
		}
	}
	if err != nil {
		return fmt.Errorf("populate volume %s: %w", v.def.Name, err)
	}
	return nil
}

// syncFiles has all writes to a directory's file system written to the disk.
func syncFiles(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	return nil
}

// unpopulate empties the data of a copy that failed.
func (v *volume) unpopulate(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(v.dir, populatingFile))
}
