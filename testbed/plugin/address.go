package plugin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// addresses keeps pools of addresses in its memory: what it gave is forgotten
// with the process.
type addresses struct {
	Desk
	mu    sync.Mutex
	pools map[string]*pool // by id
}

type pool struct {
	subnet netip.Prefix
	used   map[netip.Addr]bool
}

// offers are the subnets that it chooses from, in order. The first is Taken.
var offers = map[bool][]string{
	false: {Taken, "10.120.1.0/24", "10.120.2.0/24"},
	true:  {"fd00:120:1::/64", "fd00:120:2::/64"},
}

// Taken is a subnet that tests give to their host, and which the plugin offers
// first when it may choose.
const Taken = "198.51.100.0/24"

// ServeAddresses serves an IPAM plugin at a unix socket until the process ends.
func ServeAddresses(socket, dir string) error {
	d := &addresses{Desk: NewDesk(dir), pools: map[string]*pool{}}
	l, err := listen(socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for method, answer := range map[string]func(request) (any, error){
		"GetCapabilities": d.capabilities, "GetDefaultAddressSpaces": d.spaces, "RequestPool": d.requestPool,
		"ReleasePool": d.releasePool, "RequestAddress": d.requestAddress, "ReleaseAddress": d.releaseAddress,
	} {
		mux.HandleFunc("POST /IpamDriver."+method, func(w http.ResponseWriter, r *http.Request) {
			var in request
			if r.ContentLength != 0 {
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
					http.Error(w, err.Error(), http.StatusBadRequest)
					return
				}
			}
			out, err := answer(in)
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				out = map[string]string{"Err": err.Error()}
			}
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	mux.HandleFunc("POST /Plugin.Activate", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string][]string{"Implements": {"IpamDriver"}})
	})
	return http.Serve(l, mux)
}

// request has the fields of all requests.
type request struct {
	AddressSpace, Pool, SubPool, PoolID, Address string
	Options                                      map[string]string
	V6                                           bool
}

// capabilities are what Behave told of them: "mac" or "replay".
func (d *addresses) capabilities(request) (any, error) {
	how := d.told("GetCapabilities")
	return map[string]bool{"RequiresMACAddress": how == "mac", "RequiresRequestReplay": how == "replay"}, nil
}

func (d *addresses) spaces(request) (any, error) {
	return map[string]string{"LocalDefaultAddressSpace": "here", "GlobalDefaultAddressSpace": "everywhere"}, nil
}

func (d *addresses) requestPool(r request) (any, error) {
	lie, err := d.note("RequestPool", r.AddressSpace, r.Pool, r.SubPool, r.V6, r.Options)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	wanted := []string{r.Pool}
	if r.Pool == "" {
		wanted = offers[r.V6]
	}
	for _, text := range wanted {
		subnet, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		id := "pool-" + subnet.String()
		if d.pools[id] != nil {
			continue
		}
		d.pools[id] = &pool{subnet, map[netip.Addr]bool{}}
		if lie {
			text = "192.0.2.0/31"
		}
		return map[string]any{"PoolID": id, "Pool": text, "Data": map[string]string{}}, nil
	}
	return nil, fmt.Errorf("no pool left for %q", r.Pool)
}

func (d *addresses) releasePool(r request) (any, error) {
	if _, err := d.note("ReleasePool", r.PoolID); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.pools[r.PoolID]; p == nil || len(p.used) > 0 {
		return nil, fmt.Errorf("pool %q is unknown or in use: %v", r.PoolID, p)
	}
	delete(d.pools, r.PoolID)
	return map[string]string{}, d.keepBooks()
}

func (d *addresses) requestAddress(r request) (any, error) {
	lie, err := d.note("RequestAddress", r.PoolID, r.Address, r.Options)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pools[r.PoolID]
	if p == nil {
		return nil, fmt.Errorf("no pool %q", r.PoolID)
	}
	if lie {
		return map[string]string{"Address": "9.9.9.9/8"}, nil
	}
	if d.told("RequestAddress") == "repeat" {
		return map[string]string{"Address": netip.PrefixFrom(p.subnet.Addr().Next().Next(), p.subnet.Bits()).String()}, nil
	}
	a := p.subnet.Addr().Next()
	if r.Address != "" {
		if a, err = netip.ParseAddr(r.Address); err != nil || p.used[a] || !p.subnet.Contains(a) {
			return nil, fmt.Errorf("address %s is in use or not of %s", a, p.subnet)
		}
	}
	for p.used[a] {
		a = a.Next()
	}
	p.used[a] = true
	return map[string]string{"Address": netip.PrefixFrom(a, p.subnet.Bits()).String()}, d.keepBooks()
}

func (d *addresses) releaseAddress(r request) (any, error) {
	if _, err := d.note("ReleaseAddress", r.PoolID, r.Address); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a, err := netip.ParseAddr(r.Address)
	if p := d.pools[r.PoolID]; err != nil || p == nil || !p.used[a] {
		return nil, fmt.Errorf("address %q of pool %q is not in use", r.Address, r.PoolID)
	}
	delete(d.pools[r.PoolID].used, a)
	return map[string]string{}, d.keepBooks()
}

// keepBooks writes down how many pools and addresses are out, for Out.
func (d *addresses) keepBooks() error {
	n := len(d.pools)
	for _, p := range d.pools {
		n += len(p.used)
	}
	return os.WriteFile(filepath.Join(d.Dir, "out"), fmt.Append(nil, n), 0o600)
}

// Out says how many pools and addresses an IPAM plugin has given and not got back.
func (d Desk) Out() string {
	text, _ := os.ReadFile(filepath.Join(d.Dir, "out"))
	return string(text)
}
