package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// aside runs f on a thread with new namespaces, which end with it: nothing of what
// f mounts or makes there is seen by the host, or left.
func aside(namespaces int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(namespaces | unix.CLONE_FS); err != nil {
			result <- fmt.Errorf("make namespaces: %w", err)
			return
		}
		if namespaces&unix.CLONE_NEWNS != 0 {
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				result <- fmt.Errorf("keep mounts apart: %w", err)
				return
			}
		}
		result <- f()
	}()
	return <-result
}

func (e *examination) firewall() {
	if os.Geteuid() != 0 {
		return // said by privileges
	}
	err := aside(unix.CLONE_NEWNET, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "doctor"})
		chain := c.AddChain(&nftables.Chain{Name: "out", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Masq{}}})
		return c.Flush()
	})
	if err != nil {
		e.problem("nftables", "a table with address translation cannot be made: "+err.Error(),
			"load the modules: modprobe -a nf_tables nft_chain_nat nft_masq; or use a kernel with CONFIG_NF_TABLES and CONFIG_NFT_MASQ")
		return
	}
	e.ok("nftables", "tables with address translation work")
}

func (e *examination) devices() {
	if os.Geteuid() != 0 {
		return
	}
	err := aside(unix.CLONE_NEWNET, func() error {
		attributes := netlink.NewLinkAttrs()
		attributes.Name = "doctor0"
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attributes}); err != nil {
			return fmt.Errorf("bridge: %w", err)
		}
		attributes.Name = "doctor1"
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "doctor2"}); err != nil {
			return fmt.Errorf("veth: %w", err)
		}
		return nil
	})
	if err != nil {
		e.problem("network devices", "cannot be made: "+err.Error(), "load the modules: modprobe -a bridge veth; or use a kernel that has them")
		return
	}
	e.ok("network devices", "bridges and veth pairs work")
}

func (e *examination) overlay() {
	if os.Geteuid() != 0 {
		return
	}
	dir, err := os.MkdirTemp(existing(e.DataRoot), ".berth-doctor-")
	if err != nil {
		e.problem("overlayfs", "cannot be tried: "+err.Error(), "make the data root writable, or choose another --data-root")
		return
	}
	defer os.RemoveAll(dir)
	err = aside(unix.CLONE_NEWNS, func() error { return tryOverlay(dir) })
	if err != nil {
		e.problem("overlayfs", fmt.Sprintf("does not work in %s: %v", e.DataRoot, err),
			"modprobe overlay; if that is there, put --data-root on ext4, xfs (with ftype=1), btrfs or a tmpfs: an overlayfs cannot lie on another")
		return
	}
	e.ok("overlayfs", "works in %s", e.DataRoot)
}

// tryOverlay mounts one, writes into it and removes something from below, which
// needs whiteouts.
func tryOverlay(dir string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(at(name), 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(at("lower/below"), nil, 0o600); err != nil {
		return err
	}
	options := "lowerdir=" + at("lower") + ",upperdir=" + at("upper") + ",workdir=" + at("work")
	if err := unix.Mount("overlay", at("merged"), "overlay", 0, options); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	defer func() { _ = unix.Unmount(at("merged"), unix.MNT_DETACH) }()
	if err := os.WriteFile(at("merged/above"), []byte("x"), 0o600); err != nil {
		return err
	}
	return os.Remove(at("merged/below"))
}

// existing is the nearest directory above a path that is there.
func existing(path string) string {
	for path != "/" && path != "." {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			break
		}
		path = filepath.Dir(path)
	}
	return path
}
