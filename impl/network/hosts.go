package network

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
)

// EditHosts names the container at the addresses come, and no more at the
// addresses gone, in the hosts file of a running container. Other lines stay.
func (m *Manager) EditHosts(path string, gone, come []netip.Addr, hostname, domainname string) error {
	names := ownNames(hostname, domainname)
	if len(names) == 0 || len(gone) == 0 && len(come) == 0 {
		return nil
	}
	line := func(a netip.Addr) string {
		var b strings.Builder
		HostEntry{a, names}.write(&b)
		return b.String()
	}
	return m.editHosts(path, func(text string) string {
		for _, a := range gone {
			text = strings.Replace(text, line(a), "", 1)
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		for _, a := range come {
			text += line(a)
		}
		return text
	})
}

// MoveHosts gives those lines of a running container's hosts file whose first
// name is an entry's first name that entry's address and names.
func (m *Manager) MoveHosts(path string, entries []HostEntry) error {
	return m.editHosts(path, func(text string) string {
		var b strings.Builder
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			moved := false
			for _, e := range entries {
				if len(fields) > 1 && fields[1] == e.Names[0] {
					e.write(&b)
					moved = true
					break
				}
			}
			if !moved {
				b.WriteString(line)
			}
		}
		return b.String()
	})
}

// editHosts changes the file in place: it is a mount in the container.
func (m *Manager) editHosts(path string, edit func(string) string) error {
	m.hosts.Lock()
	defer m.hosts.Unlock()
	have, err := readSmall(path)
	if err != nil {
		return fmt.Errorf("read the container's hosts file: %w", err)
	}
	text := edit(string(have))
	if text == string(have) {
		return nil
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write the container's hosts file: %w", err)
	}
	return nil
}

// maxFile is more than any hosts file or resolv.conf needs. The container may
// write to them.
const maxFile = 1 << 20

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return text, err
}
