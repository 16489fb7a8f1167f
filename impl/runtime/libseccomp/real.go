package seccomp

import real "berth.invalid/libseccomp-golang"

// What needs no care is the real package's.
type (
	ScmpAction    = real.ScmpAction
	ScmpArch      = real.ScmpArch
	ScmpCompareOp = real.ScmpCompareOp
	ScmpCondition = real.ScmpCondition
	ScmpSyscall   = real.ScmpSyscall
	VersionError  = real.VersionError
)

// Architectures.
const (
	ArchInvalid     = real.ArchInvalid
	ArchNative      = real.ArchNative
	ArchX86         = real.ArchX86
	ArchAMD64       = real.ArchAMD64
	ArchX32         = real.ArchX32
	ArchARM         = real.ArchARM
	ArchARM64       = real.ArchARM64
	ArchMIPS        = real.ArchMIPS
	ArchMIPS64      = real.ArchMIPS64
	ArchMIPS64N32   = real.ArchMIPS64N32
	ArchMIPSEL      = real.ArchMIPSEL
	ArchMIPSEL64    = real.ArchMIPSEL64
	ArchMIPSEL64N32 = real.ArchMIPSEL64N32
	ArchPPC         = real.ArchPPC
	ArchPPC64       = real.ArchPPC64
	ArchPPC64LE     = real.ArchPPC64LE
	ArchS390        = real.ArchS390
	ArchS390X       = real.ArchS390X
	ArchPARISC      = real.ArchPARISC
	ArchPARISC64    = real.ArchPARISC64
	ArchRISCV64     = real.ArchRISCV64
	ArchLOONGARCH64 = real.ArchLOONGARCH64
	ArchM68K        = real.ArchM68K
	ArchSH          = real.ArchSH
	ArchSHEB        = real.ArchSHEB
)

// Actions.
const (
	ActInvalid     = real.ActInvalid
	ActKillThread  = real.ActKillThread
	ActTrap        = real.ActTrap
	ActNotify      = real.ActNotify
	ActErrno       = real.ActErrno
	ActTrace       = real.ActTrace
	ActAllow       = real.ActAllow
	ActLog         = real.ActLog
	ActKillProcess = real.ActKillProcess
)

// Comparisons.
const (
	CompareInvalid      = real.CompareInvalid
	CompareNotEqual     = real.CompareNotEqual
	CompareLess         = real.CompareLess
	CompareLessOrEqual  = real.CompareLessOrEqual
	CompareEqual        = real.CompareEqual
	CompareGreaterEqual = real.CompareGreaterEqual
	CompareGreater      = real.CompareGreater
	CompareMaskedEqual  = real.CompareMaskedEqual
)

// GetLibraryVersion is the version of libseccomp.
func GetLibraryVersion() (major, minor, micro uint) { return real.GetLibraryVersion() }

// GetAPI is libseccomp's API level.
func GetAPI() (uint, error) { return real.GetAPI() }

// GetArchFromString finds an architecture.
func GetArchFromString(arch string) (ScmpArch, error) { return real.GetArchFromString(arch) }

// GetNativeArch is the kernel's architecture.
func GetNativeArch() (ScmpArch, error) { return real.GetNativeArch() }

// MakeCondition makes a condition on an argument.
func MakeCondition(arg uint, comparison ScmpCompareOp, values ...uint64) (ScmpCondition, error) {
	return real.MakeCondition(arg, comparison, values...)
}
