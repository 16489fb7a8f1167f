package engine

import (
	"fmt"
	"os"

	"github.com/seed-50ced230/berth/gen/hub/models"
	"github.com/seed-50ced230/berth/impl/fault"
)

// checkBlockDevices refuses limits of what is no block device now: devices come
// and go, so that this is looked at when the container starts.
func checkBlockDevices(h *models.HostConfig) error {
	var paths []string
	for _, d := range h.BlkioWeightDevice {
		paths = append(paths, d.Path)
	}
	for _, list := range [][]models.ThrottleDevice{h.BlkioDeviceReadBps, h.BlkioDeviceWriteBps, h.BlkioDeviceReadIOps, h.BlkioDeviceWriteIOps} {
		for _, d := range list {
			paths = append(paths, d.Path)
		}
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return fault.Invalid("cannot limit the I/O of a device: %w", err)
		}
		if _, _, ok := deviceNumber(path); !ok {
			return fault.Invalid("cannot limit the I/O of %s: it is no block device", path)
		}
	}
	return nil
}

// dropWeights takes out the weights of devices that have none, because of their
// scheduler or the kernel: it refuses them (Documentation/block/bfq-iosched.rst).
// A device that is not there stays and fails the start.
func dropWeights(h *models.HostConfig, can controls) (warnings []string) {
	kept := []models.WeightDevice{}
	for _, d := range h.BlkioWeightDevice {
		major, minor, ok := deviceNumber(d.Path)
		if ok && !can.weighs(major, minor) {
			warnings = append(warnings, fmt.Sprintf("Your kernel does not support Block I/O weight_device for %s: it has no weights. Weight-device discarded.", d.Path))
			continue
		}
		kept = append(kept, d)
	}
	if len(warnings) > 0 {
		h.BlkioWeightDevice = kept
	}
	return warnings
}
