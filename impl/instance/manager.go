package instance

import (
	"errors"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Manager is the service manager that started this process, as systemd does with
// Type=notify or Type=notify-reload (sd_notify(3)). Without one nothing is told.
type Manager struct{}

// Ready says that the daemon serves, after its start or a reload.
func (Manager) Ready(status string) error { return notify(daemon.SdNotifyReady + "\nSTATUS=" + status) }

// Reloading says that the configuration is read again; Ready follows.
func (Manager) Reloading() error {
	return notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the daemon ends.
func (Manager) Stopping() error { return notify(daemon.SdNotifyStopping) }

func notify(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return errors.Join(errors.New("the service manager could not be told: "+state), err)
	}
	return nil
}
