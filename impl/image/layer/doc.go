// Package layer turns layer tars into directories that overlayfs can stack,
// and back.
//
// Unpack writes a tar into an empty directory: whiteouts (".wh.x") become
// character devices 0/0 and opaque markers the xattr trusted.overlay.opaque, as
// the kernel's Documentation/filesystems/overlayfs.rst has them. Beside it goes a
// recipe: the tar's bytes without the file contents that can be read back
// from the directory. Assemble gives the tar again, byte for byte, from both.
//
// A tar is hostile until proven otherwise. No entry reaches outside of the
// directory: every path is walked one component at a time with O_NOFOLLOW, and a
// link on the way is resolved inside the directory. Names that climb above the
// root, links to such names and whiteouts of "." or ".." are refused. Extended
// attributes that overlayfs would obey (trusted.*, user.overlay.*) are not
// stored. Bytes and entries are counted against Limits; zeros are stored as
// holes. Device nodes are made as the tar has them: the directory must lie
// where nobody but root can reach it (the store's root has mode 0700), and a
// container is kept from using them by its device cgroup.
package layer
