package network

import (
	"errors"
	"net/netip"
	"strconv"

	"github.com/seed-50ced230/berth/impl/fault"
)

// Options of the bridge driver (networks section, v1.21 and later).
const (
	optionDefaultBridge = "com.docker.network.bridge.default_bridge"
	optionICC           = "com.docker.network.bridge.enable_icc"
	optionMasquerade    = "com.docker.network.bridge.enable_ip_masquerade"
	optionHostIP        = "com.docker.network.bridge.host_binding_ipv4"
	optionDevice        = "com.docker.network.bridge.name"
	optionMTU           = "com.docker.network.driver.mtu"
)

// devicePrefix begins the names of user-defined networks' bridges. It is not
// Docker's "br-", whose devices are recognized by that (firewall.Table.Admit).
const devicePrefix = "bb-"

// settings reads the options of a user-defined network.
func (d definition) settings(daemon Options) (settings, error) {
	s := settings{device: d.device(daemon), mtu: daemon.MTU, masquerade: true, hostIP: daemon.HostIP}
	flag := func(key string, set func(bool)) error {
		text, ok := d.Options[key]
		if !ok {
			return nil
		}
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fault.Invalid("invalid value %q of option %s", text, key)
		}
		set(v)
		return nil
	}
	if err := errors.Join(
		flag(optionICC, func(v bool) { s.isolate = !v }),
		flag(optionMasquerade, func(v bool) { s.masquerade = v }),
		flag(optionDefaultBridge, func(bool) {}), // see definition.device
	); err != nil {
		return s, err
	}
	if !validDevice(s.device) {
		return s, fault.Invalid("invalid value %q of option %s", s.device, optionDevice)
	}
	var err error
	if s.mtu, err = d.mtu(s.mtu); err != nil {
		return s, err
	}
	if text := d.Options[optionHostIP]; text != "" {
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			return s, fault.Invalid("invalid value %q of option %s", text, optionHostIP)
		}
		s.hostIP = a
	}
	return s, nil
}

// mtu reads the option of that name.
func (d definition) mtu(otherwise int) (int, error) {
	text := d.Options[optionMTU]
	if text == "" {
		return otherwise, nil
	}
	mtu, err := strconv.Atoi(text)
	if err != nil || !validMTU(mtu) {
		return 0, fault.Invalid("invalid value %q of option %s", text, optionMTU)
	}
	return mtu, nil
}

// validMTU tells whether IPv4 works with it (RFC 791, section 3.2).
func validMTU(mtu int) bool { return mtu >= 68 && mtu <= 65535 }

// validDevice tells whether the kernel takes it as a device's name
// (net/core/dev.c, dev_valid_name) and it is no pattern of ours.
func validDevice(name string) bool {
	if name == "" || len(name) > maxDeviceName || name == "." || name == ".." {
		return false
	}
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || r == '/' || r == ':' || r == '%' || r == '+' || r == '*' {
			return false
		}
	}
	return true
}
