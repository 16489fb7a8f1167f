package userns

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-50ced230/berth/testbed/effort"
)

// FuzzRemap reads the setting with any files of users and of the ids that they may
// give away: a map that comes of it is whole, from 0 on, and never has the host's root.
func FuzzRemap(f *testing.F) {
	f.Add("a", "a:x:1000:1000:::\n", "a:x:1000:\n", "a:100000:65536\na:300000:10\n", "a:100000:65536\n")
	f.Add("1000:g", "a:x:1000:1000:::", "g:x:5:", "1000:1:1\n", "g:4294967294:1\n")
	f.Add("a:b:c", ":", "::", "a:-1:99999999999999999999", "a:0:1")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, value, passwd, group, subuid, subgid string) {
		defer effort.Bound()()
		if value == "default" {
			return // makes a user
		}
		at := Files{Passwd: filepath.Join(dir, "p"), Group: filepath.Join(dir, "g"), Subuid: filepath.Join(dir, "su"), Subgid: filepath.Join(dir, "sg")}
		for path, text := range map[string]string{at.Passwd: passwd, at.Group: group, at.Subuid: subuid, at.Subgid: subgid} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := at.Remap(value)
		if err != nil {
			return
		}
		if m.None() {
			t.Fatalf("%q: no map and no error", value)
		}
		next := int64(0)
		for i, r := range m.UIDMaps {
			if r.ID != next || r.ParentID <= 0 || r.Count <= 0 || r.ParentID+r.Count > 1<<32-1 {
				t.Errorf("%q %q: range %d of %+v", value, subuid, i, m.UIDMaps)
			}
			next += r.Count
		}
		for _, r := range m.GIDMaps {
			if r.ParentID <= 0 || r.Count <= 0 || r.ParentID+r.Count > 1<<32-1 {
				t.Errorf("%q %q: %+v", value, subgid, m.GIDMaps)
			}
		}
		if uid, gid := m.RootPair(); uid <= 0 || gid <= 0 {
			t.Errorf("%q: root is %d:%d", value, uid, gid)
		}
	})
}
