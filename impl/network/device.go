package network

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/seed-50ced230/berth/impl/atomicfile"
	"github.com/seed-50ced230/berth/impl/network/bridge"
	"github.com/seed-50ced230/berth/impl/network/macvlan"
)

// A device is a network's own by its name, which is made from the network's id and
// which nobody else gives, or by the mark that it bears. One for which the user chose
// the name is made under the network's own name, marked, and then renamed: at no
// moment could it be taken for somebody else's device of that name, or the other way
// round. Both go with the kernel that has the device.

// device is the name of the network's device on the host; "" if its driver makes none.
func (d definition) device(daemon Options) string {
	switch d.driver() {
	case driverBridge:
		if d.Name == NameBridge {
			return daemon.Bridge
		}
		if name := d.Options[optionDevice]; name != "" {
			return name
		}
		// As in Docker Engine it names the default network's device, which only
		// another name makes possible.
		if v, _ := strconv.ParseBool(d.Options[optionDefaultBridge]); v {
			return daemon.Bridge
		}
		return d.ownDevice()
	case driverMacvlan:
		return cmp.Or(d.Options[optionParent], d.ownDevice())
	}
	return ""
}

// ownDevice is the name that only a device of this network has.
func (d definition) ownDevice() string {
	if d.driver() == driverMacvlan {
		return macvlan.Alone(d.ID)
	}
	return devicePrefix + d.ID[:ownDigits]
}

// ownDigits is how many digits of the network's id its own device's name has.
const ownDigits = maxDeviceName - len(devicePrefix)

// isOwnDevice tells whether a name is one that ownDevice makes for some network.
func isOwnDevice(name string) bool {
	for _, prefix := range []string{devicePrefix, macvlan.AlonePrefix} {
		if id, ok := strings.CutPrefix(name, prefix); ok && len(id) == ownDigits && strings.Trim(id, "0123456789abcdef") == "" {
			return true
		}
	}
	return false
}

// mark is what a device of the network says whose it is.
func (d definition) mark() string { return "berth network " + d.ID }

// owns tells whether there is a device of the network's name, and was made for it.
func (m *Manager) owns(d definition) (bool, error) {
	switch name := d.device(m.opts); {
	case name == "" || d.predefined():
		return false, nil
	case name == d.ownDevice():
		return bridge.Exists(name), nil
	default:
		return bridge.Marked(name, d.mark())
	}
}

// provide makes the network's device unless there is one of its name, and tells
// whether it did. record writes each device down before, and again once its index is
// known; make makes it under a name.
func (m *Manager) provide(d definition, record func(device string, index int) error, make func(as string) error) (made bool, err error) {
	name, own := d.device(m.opts), d.ownDevice()
	if bridge.Exists(name) {
		return false, nil
	}
	if own != name { // of an attempt that was cut short
		if err := bridge.Remove(own); err != nil {
			return false, err
		}
	}
	if err := record(own, 0); err != nil {
		return false, err
	}
	err = make(own)
	if err == nil {
		err = m.entitle(d, name, own, record)
	}
	if err == nil {
		return true, nil
	}
	if own != name {
		m.forgetDevice(name)
	}
	gone := bridge.Remove(own)
	if gone == nil {
		m.forgetDevice(own)
	}
	if errdefs.IsConflict(err) && bridge.Exists(name) { // somebody else was faster
		return false, gone
	}
	return false, errors.Join(err, gone)
}

// entitle gives a device that has the network's own name the one that it is to have.
func (m *Manager) entitle(d definition, name, own string, record func(device string, index int) error) error {
	index, err := bridge.Index(own)
	if err != nil {
		return fmt.Errorf("look up new device %s: %w", own, err)
	}
	if name == own {
		return record(own, index)
	}
	if err := bridge.Mark(own, d.mark()); err != nil {
		return err
	}
	if err := record(name, index); err != nil {
		return err
	}
	if err := bridge.Rename(own, name); err != nil {
		return err
	}
	m.forgetDevice(own)
	return nil
}

// noRecord is for devices of networks that are written down.
func noRecord(string, int) error { return nil }

// unmake removes the device that was made for a network. Its note goes when it is
// gone.
func (m *Manager) unmake(d definition) error {
	mine, err := m.owns(d)
	name := d.device(m.opts)
	if err == nil && mine {
		err = bridge.Remove(name)
	}
	if err == nil {
		m.forgetDevice(name)
	}
	return err
}

// deviceNote is Root/devices/<name>.json, of a device that is being made or removed,
// so that a start after kill -9 finds the device that no network has. Nothing is
// synced: devices do not outlive the kernel.
type deviceNote struct {
	// Boot and Namespace are where the device is: it ends with either. Another one
	// of its name is somebody else's.
	Boot      string `json:"boot"`
	Namespace string `json:"namespace"`
	// Index is the device's; 0 as long as it may not be there yet, which is so only
	// while it has a network's own name.
	Index int `json:"index"`
}

// here is a note without a device.
func here() (n deviceNote, err error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		n.Boot = strings.TrimSpace(string(boot))
		n.Namespace, err = os.Readlink("/proc/thread-self/ns/net")
	}
	if err != nil {
		return n, fmt.Errorf("look up this boot and network namespace: %w", err)
	}
	return n, nil
}

const noteSuffix = ".json"

func (m *Manager) devicesDir() string { return filepath.Join(m.opts.Root, "devices") }

// notePath is of a device's name, which has no slash.
func (m *Manager) notePath(device string) string {
	return filepath.Join(m.devicesDir(), device+noteSuffix)
}

// noteDevice writes a device down.
func (m *Manager) noteDevice(device string, index int) error {
	note, err := here()
	if err != nil {
		return err
	}
	note.Index = index
	text, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("encode the note of device %s: %w", device, err)
	}
	if err := os.MkdirAll(m.devicesDir(), 0o700); err != nil {
		return fmt.Errorf("write down the device %s: %w", device, err)
	}
	if err := atomicfile.Write(m.notePath(device), text, 0o600); err != nil {
		return fmt.Errorf("write down the device %s: %w", device, err)
	}
	return nil
}

// noteOwned writes the device of a network down that is about to be removed.
func (m *Manager) noteOwned(d definition) error {
	if mine, err := m.owns(d); err != nil || !mine {
		return err
	}
	index, err := bridge.Index(d.device(m.opts))
	if err != nil {
		return err
	}
	return m.noteDevice(d.device(m.opts), index)
}

// forgetDevice takes a device's note away: it is a network's, or gone.
func (m *Manager) forgetDevice(device string) { m.forgetNote(m.notePath(device)) }

func (m *Manager) forgetNote(path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("the note of a device stays", "path", path, "err", err)
	}
}

// sweepDevices removes the devices that a killed engine was making or removing. None
// of them keeps the engine from starting.
func (m *Manager) sweepDevices() {
	entries, err := os.ReadDir(m.devicesDir())
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			m.log.Warn("the notes of devices cannot be read", "err", err)
		}
		return
	}
	networks := map[string]bool{}
	for _, n := range m.networks { // those that did not come up, too
		networks[n.def.device(m.opts)] = true
	}
	for _, e := range entries {
		path := filepath.Join(m.devicesDir(), e.Name())
		device, ok := strings.CutSuffix(e.Name(), noteSuffix)
		var note deviceNote
		err := errors.New("it is the unfinished half of one, or nothing of this engine's")
		if ok {
			err = readJSON(path, &note)
		}
		if errdefs.IsDataLoss(err) {
			// The machine stopped before the disk had it, and with it the device ended.
			m.log.Info("the note of a device is not whole and not needed", "path", path, "err", err)
		} else if err != nil {
			m.log.Warn("the note of a device is not used", "path", path, "err", err)
		} else if !networks[device] && note.tells(device) {
			if err := bridge.Remove(device); err != nil {
				m.log.Warn("a device stays that no network has; the next start tries again", "device", device, "err", err)
				continue
			}
		}
		m.forgetNote(path)
	}
}

// tells whether a device that is there is the one that was written down.
func (n deviceNote) tells(device string) bool {
	now, err := here()
	if err != nil || n.Boot != now.Boot || n.Namespace != now.Namespace {
		return false
	}
	if now.Index, err = bridge.Index(device); err != nil {
		return false
	}
	return n.Index == now.Index || n.Index == 0 && isOwnDevice(device)
}
