package containerfs

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/seed-50ced230/berth/impl/userns"
)

// capabilityRecord is a file's capabilities in a tar (capabilities(7), "File
// capability extended attribute versioning").
const capabilityRecord = "SCHILY.xattr.security.capability"

// The versions of that attribute, in its first four bytes with the flags.
const (
	capabilityVersion = 0xff000000
	capabilityTwo     = 0x02000000 // for root of the host
	capabilityThree   = 0x03000000 // for the root whose id on the host follows
)

// rootCapabilities makes the file capabilities in a tar those of the namespace's
// root: the host's, which an archive names by not naming any, has no say on a
// mount with the map, and the kernel refuses it. A tar that cannot be read goes
// on as it is up to that place, and ends there with the error.
func rootCapabilities(r io.Reader, ids userns.Map) io.ReadCloser {
	out, in := io.Pipe()
	go func() { in.CloseWithError(copyRooted(in, r, ids)) }()
	return out
}

func copyRooted(to io.Writer, from io.Reader, ids userns.Map) error {
	r, w := tar.NewReader(from), tar.NewWriter(to)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // comments
		}
		// A new header, because the old one has attributes in several places. The
		// other records are in its fields.
		same := &tar.Header{
			Typeflag: h.Typeflag, Name: h.Name, Linkname: h.Linkname, Size: h.Size, Mode: h.Mode,
			Uid: h.Uid, Gid: h.Gid, Uname: h.Uname, Gname: h.Gname, Devmajor: h.Devmajor, Devminor: h.Devminor,
			ModTime: h.ModTime, AccessTime: h.AccessTime, ChangeTime: h.ChangeTime, PAXRecords: map[string]string{},
		}
		for key, value := range h.PAXRecords {
			if key == capabilityRecord {
				value = rooted(value, ids)
			}
			if strings.HasPrefix(key, "SCHILY.xattr.") {
				same.PAXRecords[key] = value
			}
		}
		if err := w.WriteHeader(same); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

// rooted gives version 2 of the attribute as version 3.
func rooted(value string, ids userns.Map) string {
	b := []byte(value)
	if len(b) != 20 || binary.LittleEndian.Uint32(b)&capabilityVersion != capabilityTwo {
		return value
	}
	uid, _ := ids.RootPair()
	binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)&^capabilityVersion|capabilityThree)
	return string(binary.LittleEndian.AppendUint32(b, uint32(uid)))
}
