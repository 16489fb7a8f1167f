package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-50ced230/berth/impl/network/bridge"
)

// A device of a network that is being made or removed stands in Root/devices, an
// empty file of its name, so that a start after kill -9 finds the device that no
// network has. Devices do not outlive the kernel, so nothing is synced.

func (m *Manager) devicesDir() string { return filepath.Join(m.opts.Root, "devices") }

// note writes a device down. The names are those of network devices, which have no slash.
func (m *Manager) note(device string) error {
	path := filepath.Join(m.devicesDir(), device)
	err := os.WriteFile(path, nil, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(m.devicesDir(), 0o700); err == nil {
			err = os.WriteFile(path, nil, 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("write down the device %s: %w", device, err)
	}
	return nil
}

// noted takes a device's note away: it is a network's, or gone.
func (m *Manager) noted(device string) {
	if err := os.Remove(filepath.Join(m.devicesDir(), device)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("the note of a device stays", "device", device, "err", err)
	}
}

// sweepDevices removes the devices that a killed engine was making or removing.
func (m *Manager) sweepDevices() error {
	entries, err := os.ReadDir(m.devicesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the notes of devices: %w", err)
	}
	owned := map[string]bool{}
	for _, n := range m.networks {
		switch {
		case n.bridge != nil:
			owned[n.device] = true
		case n.macvlan != nil:
			owned[n.macvlan.Parent] = true
		}
	}
	for _, e := range entries {
		if !owned[e.Name()] {
			if err := bridge.Remove(e.Name()); err != nil {
				return err
			}
		}
		m.noted(e.Name())
	}
	return nil
}
