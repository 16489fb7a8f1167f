package plugin

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/go-plugins-helpers/network"
)

// networks makes a bridge per network and a veth pair per endpoint.
type networks struct{ Desk }

// ServeNetworks serves a network plugin at a unix socket until the process ends.
func ServeNetworks(socket, dir string) error {
	l, err := listen(socket)
	if err != nil {
		return err
	}
	return network.NewHandler(networks{NewDesk(dir)}).Serve(l)
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

func device(prefix, id string) string { return prefix + id[:8] }

func (d networks) gateway(id string) string { return filepath.Join(d.Dir, "gateway-"+id) }

func (d networks) GetCapabilities() (*network.CapabilitiesResponse, error) {
	return &network.CapabilitiesResponse{Scope: network.LocalScope}, nil
}

func (d networks) CreateNetwork(r *network.CreateNetworkRequest) error {
	pools := []any{r.Options["com.docker.network.generic"]}
	all := append(r.IPv4Data, r.IPv6Data...)
	for _, p := range all {
		pools = append(pools, p.Pool)
	}
	if _, err := d.note("CreateNetwork", pools...); err != nil {
		return err
	}
	b := device("tpb", r.NetworkID)
	if err := ip("link", "add", b, "type", "bridge"); err != nil {
		return err
	}
	var gateways []string
	for _, p := range all {
		if err := ip("addr", "add", p.Gateway, "dev", b, "nodad"); err != nil {
			return err
		}
		address, _, _ := strings.Cut(p.Gateway, "/")
		gateways = append(gateways, address)
	}
	if err := os.WriteFile(d.gateway(r.NetworkID), []byte(strings.Join(gateways, " ")), 0o600); err != nil {
		return err
	}
	return ip("link", "set", b, "up")
}

func (d networks) DeleteNetwork(r *network.DeleteNetworkRequest) error {
	if _, err := d.note("DeleteNetwork"); err != nil {
		return err
	}
	return ip("link", "del", device("tpb", r.NetworkID))
}

func (d networks) CreateEndpoint(r *network.CreateEndpointRequest) (*network.CreateEndpointResponse, error) {
	lie, err := d.note("CreateEndpoint", r.Interface.Address, r.Interface.AddressIPv6, r.Interface.MacAddress)
	if lie {
		return &network.CreateEndpointResponse{Interface: &network.EndpointInterface{Address: "9.9.9.9/8"}}, nil
	}
	if mac := d.told("CreateEndpoint"); strings.Contains(mac, ":") {
		return &network.CreateEndpointResponse{Interface: &network.EndpointInterface{MacAddress: mac}}, nil
	}
	return &network.CreateEndpointResponse{}, err
}

func (d networks) DeleteEndpoint(*network.DeleteEndpointRequest) error {
	_, err := d.note("DeleteEndpoint")
	return err
}

func (d networks) Join(r *network.JoinRequest) (*network.JoinResponse, error) {
	lie, err := d.note("Join")
	if err != nil {
		return nil, err
	}
	inner, outer := device("tpi", r.EndpointID), device("tpo", r.EndpointID)
	if err := ip("link", "add", outer, "type", "veth", "peer", "name", inner); err != nil {
		return nil, err
	}
	if err := ip("link", "set", outer, "master", device("tpb", r.NetworkID), "up"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(d.gateway(r.NetworkID))
	if err != nil {
		return nil, err
	}
	gateways := strings.Fields(string(text))
	answer := &network.JoinResponse{InterfaceName: network.InterfaceName{SrcName: inner, DstPrefix: "eth"}, Gateway: gateways[0],
		StaticRoutes: []*network.StaticRoute{{Destination: "192.0.2.0/24", RouteType: 1}, {Destination: "198.51.100.0/24", NextHop: gateways[0]}}}
	if last := gateways[len(gateways)-1]; strings.Contains(last, ":") {
		answer.GatewayIPv6 = last
		answer.StaticRoutes = append(answer.StaticRoutes, &network.StaticRoute{Destination: "2001:db8:77::/64", NextHop: last})
	}
	if lie {
		answer.InterfaceName.SrcName = device("tpb", r.NetworkID) // the host's own bridge
	}
	switch d.told("Join") {
	case "late":
		time.Sleep(time.Hour)
	case "steal":
		answer.InterfaceName.SrcName = "eth0" // the container's own
	}
	return answer, nil
}

// Leave fails unless the interface is back under its own name.
func (d networks) Leave(r *network.LeaveRequest) error {
	if _, err := d.note("Leave"); err != nil {
		return err
	}
	return ip("link", "del", device("tpi", r.EndpointID))
}

func (d networks) AllocateNetwork(*network.AllocateNetworkRequest) (*network.AllocateNetworkResponse, error) {
	return &network.AllocateNetworkResponse{}, nil
}
func (d networks) FreeNetwork(*network.FreeNetworkRequest) error { return nil }
func (d networks) EndpointInfo(*network.InfoRequest) (*network.InfoResponse, error) {
	return &network.InfoResponse{}, nil
}
func (d networks) DiscoverNew(*network.DiscoveryNotification) error    { return nil }
func (d networks) DiscoverDelete(*network.DiscoveryNotification) error { return nil }
func (d networks) ProgramExternalConnectivity(*network.ProgramExternalConnectivityRequest) error {
	return nil
}
func (d networks) RevokeExternalConnectivity(*network.RevokeExternalConnectivityRequest) error {
	return nil
}
