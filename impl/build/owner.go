package build

import (
	"bytes"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"github.com/moby/sys/user"

	"github.com/seed-50ced230/berth/impl/fault"
)

// longestUserFile bounds how much of an image's passwd or group is read, in bytes.
const longestUserFile = 16 << 20

// findOwner reads --chown: "user" or "user:group", numbers or names of the
// image. Without a group it is the one called as the user.
func findOwner(t *tree, text string) (owner, error) {
	if text == "" {
		return owner{}, nil
	}
	name, group, ok := strings.Cut(text, ":")
	if !ok || group == "" {
		group = name
	}
	var o owner
	var err error
	if o.uid, err = numeric(name); err != nil {
		data, ferr := readUserFile(t, "etc/passwd")
		if ferr != nil {
			return owner{}, ferr
		}
		list, perr := user.ParsePasswdFilter(bytes.NewReader(data), func(u user.User) bool { return u.Name == name })
		if perr != nil || len(list) == 0 {
			return owner{}, fault.Invalid("unable to convert uid/gid chown string to host mapping: can't find uid for user %s", name)
		}
		o.uid = list[0].Uid
	}
	if o.gid, err = numeric(group); err != nil {
		data, ferr := readUserFile(t, "etc/group")
		if ferr != nil {
			return owner{}, ferr
		}
		list, perr := user.ParseGroupFilter(bytes.NewReader(data), func(g user.Group) bool { return g.Name == group })
		if perr != nil || len(list) == 0 {
			return owner{}, fault.Invalid("unable to convert uid/gid chown string to host mapping: can't find gid for group %s", group)
		}
		o.gid = list[0].Gid
	}
	return o, nil
}

// numeric reads a uid or gid; the largest is the one that means none.
func numeric(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n == 1<<32-1 {
		return 0, strconv.ErrRange
	}
	return int(n), err
}

func readUserFile(t *tree, p string) ([]byte, error) {
	at, info, err := t.stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > longestUserFile {
		return nil, fault.Invalid("the image's /%s is no file, or too long", p)
	}
	return t.ReadFile(at)
}

// parseMode reads --chmod: permissions in octal, as chmod(1) takes them.
func parseMode(text string) (*fs.FileMode, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 8, 32)
	if err != nil || n > 0o7777 {
		return nil, fault.Invalid("invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777", text)
	}
	m := fs.FileMode(n & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n&bit != 0 {
			m |= flag
		}
	}
	return &m, nil
}
