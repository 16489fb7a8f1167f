package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-50ced230/berth/impl/fault"
)

// address is where a plugin listens.
type address struct {
	// network is unix or tcp, host the path of the socket or HOST:PORT.
	network, host string
	// base is the path that goes before the methods, without a slash at its end.
	base string
	// tls says that the plugin is reached through TLS with these settings.
	tls bool
	transportSecurity
}

// transportSecurity is TLSConfig of a .json file. Without CAFile the system's
// authorities count; only InsecureSkipVerify does without.
type transportSecurity struct {
	InsecureSkipVerify        bool
	CAFile, CertFile, KeyFile string
}

// nameForm keeps names from leading out of the directories.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// maxSpec is the size of a specification, bytes.
const maxSpec = 64 << 10

// candidates are the files that can make a plugin known, in order.
func (o Options) candidates(name string) []string {
	var list []string
	if o.Sockets != "" {
		list = append(list, filepath.Join(o.Sockets, name+".sock"), filepath.Join(o.Sockets, name, name+".sock"))
	}
	for _, dir := range o.Specs {
		for _, ext := range []string{".spec", ".json"} {
			list = append(list, filepath.Join(dir, name+ext), filepath.Join(dir, name, name+ext))
		}
	}
	return list
}

// look finds a plugin's address; class NotFound without a file of that name.
func (o Options) look(name string) (*address, error) {
	if nameForm.MatchString(name) {
		for _, path := range o.candidates(name) {
			a, err := readAddress(path)
			if err == nil {
				return a, nil
			}
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errOther) {
				return nil, fault.Internal("plugin %s: %w", name, err)
			}
		}
	}
	return nil, fault.NotFound("plugin %s not found", name)
}

// errOther says that a file is there but no plugin's.
var errOther = errors.New("not a plugin's file")

func readAddress(path string) (*address, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(path) == ".sock" {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, errOther
		}
		return &address{network: "unix", host: path}, nil
	}
	if !info.Mode().IsRegular() {
		return nil, errOther
	}
	if info.Size() > maxSpec {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxSpec)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var security *transportSecurity
	addr := strings.TrimSpace(string(text))
	if filepath.Ext(path) == ".json" {
		var file struct {
			Addr      string
			TLSConfig *transportSecurity
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		addr, security = file.Addr, file.TLSConfig
	}
	a, err := parseAddress(addr, security)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return a, nil
}

// parseAddress reads unix:///PATH, tcp://HOST:PORT, http:// and https://.
func parseAddress(text string, security *transportSecurity) (*address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	a := &address{network: "tcp", host: u.Host, base: strings.TrimSuffix(u.Path, "/")}
	if security != nil {
		a.transportSecurity = *security
	}
	// A certificate says that TLS is meant, whatever the scheme.
	a.tls = u.Scheme == "https" || a.CAFile != "" || a.CertFile != ""
	switch u.Scheme {
	case "unix":
		if !filepath.IsAbs(u.Path) || u.Host != "" {
			return nil, fmt.Errorf("address %q: unix:// needs an absolute path", text)
		}
		a.network, a.host, a.base = "unix", u.Path, ""
	case "tcp", "http", "https":
		if u.Host == "" {
			return nil, fmt.Errorf("address %q has no host", text)
		}
		if u.Port() == "" {
			port := ":80"
			if a.tls {
				port = ":443"
			}
			a.host += port
		}
	default:
		return nil, fmt.Errorf("address %q: use unix:///PATH, tcp://HOST:PORT, http:// or https://", text)
	}
	return a, nil
}

// scan gives the names of all plugins that have a file, sorted.
func (o Options) scan() ([]string, error) {
	var names []string
	var errs []error
	for i, dir := range append([]string{o.Sockets}, o.Specs...) {
		if dir == "" {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("look for plugins: %w", err))
			}
			continue
		}
		for _, e := range entries {
			if name, ok := nameOf(dir, e, i == 0); ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), errors.Join(errs...)
}

// nameOf tells whether a directory's entry makes a plugin known.
func nameOf(dir string, e fs.DirEntry, socket bool) (string, bool) {
	known := []string{".spec", ".json"}
	if socket {
		known = []string{".sock"}
	}
	ext := filepath.Ext(e.Name())
	if !e.IsDir() {
		name := strings.TrimSuffix(e.Name(), ext)
		return name, slices.Contains(known, ext) && nameForm.MatchString(name)
	}
	if !nameForm.MatchString(e.Name()) {
		return "", false
	}
	return e.Name(), slices.ContainsFunc(known, func(ext string) bool {
		_, err := os.Lstat(filepath.Join(dir, e.Name(), e.Name()+ext))
		return err == nil
	})
}
