package engine

import (
	"net"
	"path"
	"slices"
	"strings"

	"github.com/docker/go-units"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
	"github.com/seed-50ced230/berth/impl/network"
	"github.com/seed-50ced230/berth/impl/runtime/defaults"
	"github.com/seed-50ced230/berth/impl/wire"
)

// smallestMemory is the least memory limit in bytes that the API takes.
const smallestMemory = 4 << 20

// configOf is the container's configuration in a creation's body, copied so
// that merging does not reach into the request.
func configOf(b *models.ContainerCreateRequest) *models.ContainerConfig {
	c := b.ContainerConfig
	c.Env = slices.Clone(c.Env)
	c.Labels = cloneMap(c.Labels)
	c.Volumes = cloneMap(c.Volumes)
	c.ExposedPorts = cloneMap(c.ExposedPorts)
	return &c
}

func cloneMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	c := make(map[string]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// union adds the image's keys to the client's.
func union(given map[string]wire.EmptyObject, more map[string]struct{}) map[string]wire.EmptyObject {
	for k := range more {
		if given == nil {
			given = map[string]wire.EmptyObject{}
		}
		given[k] = wire.EmptyObject{}
	}
	return given
}

// liftOldResources takes the limits that the oldest clients send beside the
// configuration, where the host configuration has none.
func liftOldResources(c *models.ContainerConfig, h *models.HostConfig) {
	if h.Memory == 0 {
		h.Memory = c.Memory
	}
	if h.MemorySwap == 0 {
		h.MemorySwap = c.MemorySwap
	}
	if h.CPUShares == 0 {
		h.CPUShares = c.CPUShares
	}
	if h.CpusetCpus == "" {
		h.CpusetCpus = c.Cpuset
	}
	c.Memory, c.MemorySwap, c.CPUShares, c.Cpuset = 0, 0, 0, ""
}

// dropEmptyItems leaves out list items without any content, which the documents'
// own examples send ("Ulimits": [{}], "DnsSearch": [""]).
func dropEmptyItems(h *models.HostConfig) {
	h.Ulimits = slices.DeleteFunc(slices.Clone(h.Ulimits), func(u models.Ulimit) bool { return u == models.Ulimit{} })
	h.Devices = slices.DeleteFunc(slices.Clone(h.Devices), func(d models.DeviceMapping) bool { return d == models.DeviceMapping{} })
	h.BlkioWeightDevice = slices.DeleteFunc(slices.Clone(h.BlkioWeightDevice), func(d models.WeightDevice) bool { return d == models.WeightDevice{} })
	for _, list := range []*[]string{&h.DNS, &h.DNSSearch, &h.DNSOptions} {
		if *list != nil {
			*list = slices.DeleteFunc(slices.Clone(*list), func(s string) bool { return s == "" })
		}
	}
	for _, list := range []*[]models.ThrottleDevice{&h.BlkioDeviceReadBps, &h.BlkioDeviceWriteBps, &h.BlkioDeviceReadIOps, &h.BlkioDeviceWriteIOps} {
		*list = slices.DeleteFunc(slices.Clone(*list), func(d models.ThrottleDevice) bool { return d == models.ThrottleDevice{} })
	}
}

// checkHostConfig validates what can be told before anything is made and fills
// in the daemon's defaults. The warnings are for the client.
func (e *Engine) checkHostConfig(c *models.ContainerConfig, h *models.HostConfig) (warnings []string, err error) {
	dropEmptyItems(h)
	if err := checkLimits(h); err != nil {
		return nil, err
	}
	if err := checkCpuset(h); err != nil {
		return nil, err
	}
	can := e.controls()
	warnings = append(warnings, dropWeights(h, can)...)
	switch h.RestartPolicy.Name {
	case "", "no", "always", "unless-stopped": // which ignore a number (v1.18 reference, RestartPolicy)
	case "on-failure":
		if h.RestartPolicy.MaximumRetryCount < 0 {
			return nil, fault.Invalid("maximum restart count cannot be negative")
		}
	default:
		return nil, fault.Invalid("invalid restart policy %s", h.RestartPolicy.Name)
	}
	host, err := defaults.HostCapabilities()
	if err != nil {
		return nil, err
	}
	granted, missing, err := defaults.Grant(host, h.CapAdd, h.CapDrop, h.Privileged)
	if err != nil {
		return nil, err
	}
	if _, err := e.security(h, granted); err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		warnings = append(warnings, "This host does not have all capabilities itself. The container runs without: "+strings.Join(missing, ", "))
	}
	for _, d := range h.Devices {
		if strings.Trim(d.CgroupPermissions, "rwm") != "" {
			return nil, fault.Invalid("invalid device mode: %s", d.CgroupPermissions)
		}
	}
	for _, u := range h.Ulimits {
		l := units.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard}
		if _, err := l.GetRlimit(); err != nil {
			return nil, fault.Invalid("%w", err)
		}
		if u.Hard != -1 && (u.Soft == -1 || u.Soft > u.Hard) {
			return nil, fault.Invalid("ulimit soft limit must be less than or equal to hard limit: %d > %d", u.Soft, u.Hard)
		}
	}
	if err := e.checkLogConfig(h); err != nil {
		return nil, err
	}
	if err := checkExposed(c.ExposedPorts); err != nil {
		return nil, err
	}
	if err := checkPortBindings(h.PortBindings); err != nil {
		return nil, err
	}
	if h.ShmSize < 0 {
		return nil, fault.Invalid("SHM size must be greater than 0")
	}
	if len(h.LxcConf) > 0 {
		warnings = append(warnings, "LxcConf is ignored: there is no lxc execution driver.")
	}
	if err := e.checkCgroupParent(h.CgroupParent); err != nil {
		return nil, err
	}
	warnings = append(warnings, lacking(h, can)...)
	return warnings, network.FilesSpec{
		Hostname: c.Hostname, Domainname: c.Domainname, ExtraHosts: h.ExtraHosts,
		DNS: h.DNS, DNSSearch: h.DNSSearch, DNSOptions: h.DNSOptions,
	}.Validate()
}

// checkLimits holds the rules of the memory and cpu limits (v1.18 reference,
// "Create a container", Memory and MemorySwap).
func checkLimits(h *models.HostConfig) error {
	if h.Memory < 0 || h.Memory > 0 && h.Memory < smallestMemory {
		return fault.Invalid("Minimum memory limit allowed is 4MB")
	}
	if h.KernelMemory > 0 && h.KernelMemory < smallestMemory {
		return fault.Invalid("Minimum kernel memory limit allowed is 4MB")
	}
	if h.Memory > 0 && h.MemorySwap > 0 && h.MemorySwap < h.Memory {
		return fault.Invalid("Minimum memoryswap limit should be larger than memory limit, see usage.")
	}
	if h.Memory == 0 && h.MemorySwap > 0 {
		return fault.Invalid("You should always set the Memory limit when using Memoryswap limit, see usage.")
	}
	if h.Memory > 0 && h.MemoryReservation > h.Memory {
		return fault.Invalid("Minimum memory limit should be larger than memory reservation limit, see usage.")
	}
	if s := h.MemorySwappiness; s != nil && (*s < -1 || *s > 100) {
		return fault.Invalid("Invalid value: %d, valid memory swappiness range is 0-100.", *s)
	}
	if h.CPUPeriod != 0 && (h.CPUPeriod < 1000 || h.CPUPeriod > 1000000) {
		return fault.Invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
	}
	if h.CPUQuota > 0 && h.CPUQuota < 1000 {
		return fault.Invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
	}
	if h.BlkioWeight != 0 && (h.BlkioWeight < 10 || h.BlkioWeight > 1000) {
		return fault.Invalid("Range of blkio weight is from 10 to 1000.")
	}
	for _, d := range h.BlkioWeightDevice {
		if d.Weight < 10 || d.Weight > 1000 {
			return fault.Invalid("Range of blkio weight is from 10 to 1000.")
		}
	}
	if h.OomScoreAdj < -1000 || h.OomScoreAdj > 1000 {
		return fault.Invalid("Invalid value %d, range for oom score adj is [-1000, 1000].", h.OomScoreAdj)
	}
	return nil
}

// checkConfig validates what is known only after the image's configuration has
// been merged.
func (e *Engine) checkConfig(c *models.ContainerConfig, h *models.HostConfig) error {
	if c.WorkingDir != "" {
		if !path.IsAbs(c.WorkingDir) {
			return fault.Invalid("The working directory '%s' is invalid. It needs to be an absolute path.", c.WorkingDir)
		}
		c.WorkingDir = path.Clean(c.WorkingDir)
	}
	if err := checkExposed(c.ExposedPorts); err != nil {
		return err
	}
	for _, kv := range c.Env {
		if kv == "" || kv[0] == '=' || strings.ContainsRune(kv, 0) {
			return fault.Invalid("invalid environment variable: %q", kv)
		}
	}
	if c.MacAddress != "" {
		if mac, err := net.ParseMAC(c.MacAddress); err != nil || len(mac) != 6 {
			return fault.Invalid("invalid mac address %q", c.MacAddress)
		}
	}
	if _, err := parseSignal(string(c.StopSignal), 15); err != nil {
		return err
	}
	for _, word := range append(slices.Clone([]string(c.Entrypoint)), c.Cmd...) {
		if strings.ContainsRune(word, 0) {
			return fault.Invalid("the command holds a NUL byte")
		}
	}
	return nil
}

// resolveModes turns the names of other containers in the namespace modes into
// ids and fills in the default.
func (e *Engine) resolveModes(h *models.HostConfig) error {
	if h.NetworkMode == "" {
		h.NetworkMode = "default"
	}
	if name, ok := strings.CutPrefix(h.NetworkMode, "container:"); ok {
		other, err := e.containers.Get(name)
		if err != nil {
			return err
		}
		h.NetworkMode = "container:" + other.ID
	}
	for field, mode := range map[string]*string{"ipc": &h.IpcMode, "pid": &h.PidMode} {
		name, ok := strings.CutPrefix(*mode, "container:")
		switch {
		case ok:
			other, err := e.containers.Get(name)
			if err != nil {
				return err
			}
			*mode = "container:" + other.ID
		case *mode != "" && *mode != "host":
			return fault.Invalid("--%s: Invalid %s mode", field, strings.ToUpper(field))
		}
	}
	if h.UTSMode != "" && h.UTSMode != "host" {
		return fault.Invalid("--uts: Invalid UTS mode")
	}
	if h.UsernsMode != "" && h.UsernsMode != "host" {
		return fault.Invalid("--userns: Invalid USER mode")
	}
	return e.checkUserns(h)
}
