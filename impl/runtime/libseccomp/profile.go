package seccomp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	real "berth.invalid/libseccomp-golang"
)

// Prefix begins the name of a system call that stands for all rules of a profile
// in the executable's table. No system call is called so. libcontainer hands every
// name of a profile around as JSON several times during a start, 400 of them in
// Docker's; with this name in their place a start takes a tenth less processor time.
const Prefix = "profile:"

// Name is the system call that stands for the rules of a profile.
func Name(k Key) string { return Prefix + hex.EncodeToString(k[:]) }

// Known says that a name stands for a profile in this executable's table.
func Known(name string) bool {
	_, ok := profile(name)
	return ok
}

// Such a system call has a number that none has (those of x32 begin at 1<<30): the
// position in the table. The first one is for profiles that are not there: an error
// of GetSyscallFromName would have libcontainer leave the rule out.
const (
	unknownProfile ScmpSyscall = 3 << 29
	firstProfile               = unknownProfile + 1
)

var (
	errNoProfile  = errors.New("the seccomp profile is not in the table of this executable")
	errConditions = errors.New("a seccomp profile as a system call has no conditions")
	errFrame      = errors.New("the seccomp profile in the table is for a filter with other flags, architectures or rules")
)

func isProfile(call ScmpSyscall) bool { return call >= unknownProfile }

func (f *ScmpFilter) addProfile(call ScmpSyscall) error {
	keys := ownKeys()
	at := int(call - firstProfile)
	if at < 0 || at >= len(keys) {
		return errNoProfile
	}
	p := own()[keys[at]]
	f.profile = &p
	return nil
}

// GetSyscallFromName finds a system call of the native architecture, or a profile.
func GetSyscallFromName(name string) (ScmpSyscall, error) {
	if !strings.HasPrefix(name, Prefix) {
		return real.GetSyscallFromName(name)
	}
	k, ok := profile(name)
	if !ok {
		return unknownProfile, nil
	}
	at, _ := slices.BinarySearchFunc(ownKeys(), k, compareKeys)
	return firstProfile + ScmpSyscall(at), nil
}

// GetSyscallFromNameByArch finds a system call; of a profile the last one.
func GetSyscallFromNameByArch(name string, arch ScmpArch) (ScmpSyscall, error) {
	if !strings.HasPrefix(name, Prefix) {
		return real.GetSyscallFromNameByArch(name, arch)
	}
	k, ok := profile(name)
	if !ok {
		return 0, errNoProfile
	}
	call, ok := own()[k].Last[arch]
	if !ok {
		return 0, real.ErrSyscallDoesNotExist
	}
	return call, nil
}

// profile finds the key of a profile's name in the table.
func profile(name string) (k Key, ok bool) {
	text, ok := strings.CutPrefix(name, Prefix)
	if !ok || len(text) != hex.EncodedLen(len(k)) {
		return k, false
	}
	if _, err := hex.Decode(k[:], []byte(text)); err != nil {
		return k, false
	}
	p, ok := own()[k]
	return k, ok && p.Last != nil
}

func compareKeys(a, b Key) int { return bytes.Compare(a[:], b[:]) }

// ownKeys are the keys of the running executable's table, in order.
var ownKeys = sync.OnceValue(func() []Key { return slices.SortedFunc(maps.Keys(own()), compareKeys) })
