// Package changes holds what changed between two versions of the API besides
// shapes, which the documents tell and gen/ converts. A file vX is about
// version X: BeforeX puts the behaviour of the version before X over an engine
// (or over the next newer version), so that v1.18 is the engine behind all of them.
// Nothing else in the repository asks for a version.
package changes

// BoolToInt writes a boolean as versions before 1.19 did.
func BoolToInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// IntToBool reads a boolean as versions before 1.19 wrote it.
func IntToBool(n int64) bool { return n != 0 }
