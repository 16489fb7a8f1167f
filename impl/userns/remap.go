package userns

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/user"
)

// DefaultUser is whose ids are used for "default". Docker Engine has the same,
// so that both find what the other made.
const DefaultUser = "dockremap"

// rangeSize is how many ids a new user gets, and lowest the lowest of them where
// nobody has any yet (login.defs(5), SUB_UID_MIN).
const (
	rangeSize = 65536
	lowest    = 100000
)

// Files are where users, groups and the ids that they may give away stand
// (passwd(5), group(5), subuid(5), subgid(5)).
type Files struct{ Passwd, Group, Subuid, Subgid string }

// System are the host's own files.
func System() Files {
	return Files{Passwd: "/etc/passwd", Group: "/etc/group", Subuid: "/etc/subuid", Subgid: "/etc/subgid"}
}

// Remap reads dockerd's --userns-remap: default, user, user:group, uid, or
// uid:gid; without a group, the one with the user's name or number. The map has
// all ranges of the user's, in the order of the file. For "default" the user and
// the ranges are made if they are not there.
func (f Files) Remap(value string) (Map, error) {
	m, err := f.remap(value)
	if err != nil {
		return Map{}, fmt.Errorf("userns-remap %q: %w", value, err)
	}
	return m, nil
}

func (f Files) remap(value string) (Map, error) {
	name, group, two := strings.Cut(value, ":")
	if name == "" || two && group == "" || strings.Contains(group, ":") {
		return Map{}, errors.New("use default, USER, USER:GROUP, UID or UID:GID")
	}
	if value == "default" {
		if err := f.makeDefault(); err != nil {
			return Map{}, fmt.Errorf("make user %s and its ids: %w (make them yourself, or name another user that has lines in %s and %s)",
				DefaultUser, err, f.Subuid, f.Subgid)
		}
		name = DefaultUser
	}
	if !two {
		group = name
	}
	u, err := f.user(name)
	if err != nil {
		return Map{}, err
	}
	g, err := f.group(group)
	if err != nil {
		return Map{}, err
	}
	var m Map
	if m.UIDMaps, err = ranges(f.Subuid, u.Name, strconv.Itoa(u.Uid)); err != nil {
		return Map{}, err
	}
	// The ids of groups are listed by users (subgid(5)); Docker Engine's
	// documentation has the group there. Where both are the same they agree.
	if m.GIDMaps, err = ranges(f.Subgid, g.Name, u.Name, strconv.Itoa(u.Uid)); err != nil {
		return Map{}, err
	}
	return m, nil
}

func (f Files) user(name string) (user.User, error) {
	uid, notNumber := strconv.Atoi(name)
	found, err := user.ParsePasswdFileFilter(f.Passwd, func(u user.User) bool {
		return u.Name == name || notNumber == nil && u.Uid == uid
	})
	if err != nil {
		return user.User{}, err
	}
	if len(found) == 0 {
		return user.User{}, fmt.Errorf("%s has no user %s", f.Passwd, name)
	}
	return found[0], nil
}

func (f Files) group(name string) (user.Group, error) {
	gid, notNumber := strconv.Atoi(name)
	found, err := user.ParseGroupFileFilter(f.Group, func(g user.Group) bool {
		return g.Name == name || notNumber == nil && g.Gid == gid
	})
	if err != nil {
		return user.Group{}, err
	}
	if len(found) == 0 {
		return user.Group{}, fmt.Errorf("%s has no group %s", f.Group, name)
	}
	return found[0], nil
}

// ranges are those of the first of the names that has any, one after the other
// from id 0 on.
func ranges(file string, names ...string) ([]user.IDMap, error) {
	for _, name := range names {
		subs, err := user.ParseSubIDFileFilter(file, func(s user.SubID) bool { return s.Name == name && s.Count > 0 })
		if err != nil {
			return nil, err
		}
		var list []user.IDMap
		next := int64(0)
		for _, s := range subs {
			if s.SubID <= 0 || s.SubID+s.Count > 1<<32-1 {
				return nil, fmt.Errorf("%s: %s:%d:%d is not within the host's ids, root's apart", file, s.Name, s.SubID, s.Count)
			}
			list = append(list, user.IDMap{ID: next, ParentID: s.SubID, Count: s.Count})
			next += s.Count
		}
		if len(list) > 0 {
			return list, nil
		}
	}
	return nil, fmt.Errorf("%s has no line for %s", file, names[0])
}

// makeDefault makes the default user, and gives it a range of ids that nobody
// has, as far as they are not there. It uses the system's own programs, which
// lock the files.
func (f Files) makeDefault() error {
	if f != System() {
		return errors.New("only in the system's own files")
	}
	if _, err := f.user(DefaultUser); err != nil {
		if err := run("useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", DefaultUser); err != nil {
			return err
		}
	}
	u, err := f.user(DefaultUser)
	if err != nil {
		return err
	}
	for _, kind := range []struct{ file, option string }{{f.Subuid, "--add-subuids"}, {f.Subgid, "--add-subgids"}} {
		if _, err := ranges(kind.file, u.Name, strconv.Itoa(u.Uid)); err == nil {
			continue
		}
		taken, err := user.ParseSubIDFile(kind.file)
		if err != nil {
			return err
		}
		first := free(taken)
		if err := run("usermod", kind.option, fmt.Sprintf("%d-%d", first, first+rangeSize-1), DefaultUser); err != nil {
			return err
		}
	}
	return nil
}

// free is the first id of a range above all that are taken.
func free(taken []user.SubID) int64 {
	first := int64(lowest)
	for _, s := range taken {
		first = max(first, s.SubID+s.Count)
	}
	return first
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(slices.Concat([]string{name}, args[:1]), " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
