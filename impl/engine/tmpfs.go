package engine

import (
	"path"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
)

// The mount options that a tmpfs may have: flags, and values of its own
// (mount(8); tmpfs(5)).
var (
	tmpfsFlags = [...]string{
		"defaults", "ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "sync", "async", "dirsync", "mand", "nomand",
		"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	}
	tmpfsValues = [...]string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"}
)

// checkTmpfs refuses places and options of temporary file systems that cannot
// be. bound are the destinations of binds.
func checkTmpfs(h *models.HostConfig, bound map[string]bool) error {
	for destination, options := range h.Tmpfs {
		if !path.IsAbs(destination) || path.Clean(destination) == "/" {
			return fault.Invalid("invalid tmpfs destination %q", destination)
		}
		if bound[path.Clean(destination)] {
			return fault.Invalid("Duplicate mount point: %s", destination)
		}
		if options == "" {
			continue
		}
		for option := range strings.SplitSeq(options, ",") {
			name, value, valued := strings.Cut(option, "=")
			known := slices.Contains(tmpfsFlags[:], name) && !valued || slices.Contains(tmpfsValues[:], name) && value != ""
			if !known {
				return fault.Invalid("Invalid tmpfs option %q", option)
			}
		}
	}
	return nil
}
