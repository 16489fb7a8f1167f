package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/seed-50ced230/berth/impl/api/listen"
	"github.com/seed-50ced230/berth/impl/config"
	"github.com/seed-50ced230/berth/impl/doctor"
)

// Exit statuses of berthd doctor.
const (
	doctorWell   = 0
	doctorUnwell = 1
	doctorFailed = 2
)

// examine is berthd doctor: it says on out what it finds on this host.
func examine(c *config.Config, out io.Writer) (status int) {
	s, err := examined(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "berthd doctor:", err)
		return doctorFailed
	}
	found := doctor.Examine(s)
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(found)
	} else {
		err = doctor.Print(out, found, c.Quiet)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "berthd doctor:", err)
		return doctorFailed
	case doctor.Worst(found) == doctor.Problem:
		return doctorUnwell
	}
	return doctorWell
}

func examined(c *config.Config) (doctor.Settings, error) {
	shim, err := shimPath(c)
	if err != nil {
		return doctor.Settings{}, err
	}
	driver, err := c.CgroupDriver()
	if err != nil {
		return doctor.Settings{}, err
	}
	s := doctor.Settings{
		DataRoot: c.DataRoot, ExecRoot: c.ExecRoot,
		Databases: map[string][]string{
			containersFile(c): containerDirs(c),
			filepath.Join(c.DataRoot, "image", "images.db"): {filepath.Join(c.DataRoot, "image", "layers")},
		},
		Hosts:  c.Listen(listen.Passed()),
		Remap:  c.UsernsRemap != "",
		Asides: map[string]string{"metrics-addr": c.MetricsAddr, "pprof-addr": c.PprofAddr, "docs-addr": c.DocsAddr},
		Group:  c.Group, TLS: c.TLS || c.TLSVerify, Cert: c.TLSCert, Key: c.TLSKey, AllowPlainTCP: c.AllowPlain,
		Bridge: c.Bridge, MTU: c.MTU, DNS: c.DNS, LogDriver: c.LogDriver, Driver: driver,
		Shim: shim, LoggerPath: filepath.Join(filepath.Dir(shim), "berth-logger"),
	}
	for _, socket := range c.Sockets {
		s.Hosts = append(s.Hosts, socket.Address)
	}
	if c.Bridge == config.NoBridge {
		s.Bridge = ""
	}
	if c.TLSVerify {
		s.CA = c.TLSCACert
	}
	if c.BridgeIP != "" {
		if s.BridgeIP, err = netip.ParsePrefix(c.BridgeIP); err != nil {
			return s, fmt.Errorf("bip %q: use ADDRESS/LENGTH: %w", c.BridgeIP, err)
		}
	}
	return s, nil
}
