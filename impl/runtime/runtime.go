package runtime

// Options says where a Runtime works. Root and Shim are required.
type Options struct {
	// Root is the directory of the handles (made with mode 0700), normally
	// below the daemon's exec-root. It must not lie below the directory of Shim.
	Root string
	// Shim is the path of berth-shim.
	Shim string
	// Monitor is the path of berth-monitor; empty means beside Shim.
	Monitor string
	// CgroupDriver is "cgroupfs" (the default when empty) or "systemd".
	CgroupDriver string
}
