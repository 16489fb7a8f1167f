package fieldtest

import (
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// greeter is a server for one connection after another at a port.
const greeter = "while nc -l -p 4000 -e echo hello; do :; done"

// hears wants the greeter's word at an address of the host.
func (c *trial) hears(address string) {
	c.Helper()
	var got string
	for range 50 {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			data, _ := io.ReadAll(conn)
			conn.Close()
			if got = string(data); got == "hello\n" {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.Errorf("at %s: got %q, want the container's hello", address, got)
}

// binding is the only binding of a port in inspect's NetworkSettings.
func (c *trial) binding(port string) (hostIP, hostPort string) {
	c.Helper()
	ports, _ := at(c.inspected(), "NetworkSettings.Ports").(object)
	bindings, _ := ports[port].(list)
	if len(bindings) != 1 {
		c.Fatalf("inspect's bindings of %s: %s", port, print(ports))
	}
	b := bindings[0].(object)
	return b["HostIp"].(string), b["HostPort"].(string)
}

// freePort is a port of the host that nobody listens on, from a range that the
// kernel does not give to clients.
func (c *trial) freePort() string {
	c.Helper()
	for range 200 {
		port := 20000 + trials.Add(1)%8000
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: int(port)})
		if err == nil {
			_, text, _ := net.SplitHostPort(l.Addr().String())
			l.Close()
			return text
		}
	}
	c.Fatal("no free port")
	return ""
}

// twoPorts are two free ports of the host, one after the other.
func (c *trial) twoPorts() (first, second string) {
	c.Helper()
	for range 50 {
		first = c.freePort()
		n, err := strconv.Atoi(first)
		if err != nil {
			c.Fatal(err)
		}
		second = strconv.Itoa(n + 1)
		trials.Add(1) // nobody else is given it
		if l, err := net.Listen("tcp4", ":"+second); err == nil {
			l.Close()
			return first, second
		}
	}
	c.Fatal("no two free ports")
	return "", ""
}

func portRows() []row {
	const bindings = "HostConfig.PortBindings HostConfig.PortBindings.HostIp HostConfig.PortBindings.HostPort"
	return []row{
		{fields: bindings, name: "address and port", prove: func(c *trial) {
			port := c.freePort()
			c.host["PortBindings"] = object{"4000/tcp": list{object{"HostIp": "127.0.0.1", "HostPort": port}}}
			c.start(greeter)
			c.hears("127.0.0.1:" + port)
			ip, got := c.binding("4000/tcp")
			c.equal("binding", []string{ip, got}, list{"127.0.0.1", port})
			c.shows("HostConfig.PortBindings", c.host["PortBindings"])
		}},
		{fields: bindings, name: "any address, chosen port", prove: func(c *trial) {
			c.host["PortBindings"] = object{"4000/tcp": list{object{}}}
			c.start(greeter)
			ip, port := c.binding("4000/tcp")
			c.equal("address", ip, "0.0.0.0")
			c.hears("127.0.0.1:" + port)
			c.hears("10.216.0.1:" + port)
			c.shows("HostConfig.PortBindings", object{"4000/tcp": list{object{"HostIp": "", "HostPort": ""}}})
		}},
		{fields: bindings, name: "ranges", versions: []string{"1.18", "1.23"}, prove: func(c *trial) {
			first, second := c.twoPorts()
			c.host["PortBindings"] = object{"4000-4001/tcp": list{object{"HostIp": "127.0.0.1", "HostPort": first + "-" + second}}}
			c.start("(" + strings.ReplaceAll(greeter, "4000", "4001") + ") & " + greeter)
			for port, host := range map[string]string{"4000/tcp": first, "4001/tcp": second} {
				_, got := c.binding(port)
				c.equal("port of the host for "+port, got, host)
				c.hears("127.0.0.1:" + host)
			}
		}},
		{fields: bindings, name: "first free of a range", versions: []string{"1.18", "1.23"}, prove: func(c *trial) {
			first, second := c.twoPorts()
			d := c.another()
			for _, t := range []struct {
				*trial
				want string
			}{{c, first}, {d, second}} {
				t.host["PortBindings"] = object{"4000/tcp": list{object{"HostIp": "127.0.0.1", "HostPort": first + "-" + second}}}
				t.start(greeter)
				_, got := t.binding("4000/tcp")
				t.equal("port of the host", got, t.want)
				t.hears("127.0.0.1:" + t.want)
			}
			e := c.another()
			e.host["PortBindings"], e.config["Cmd"] = c.host["PortBindings"], list{"true"}
			e.create()
			a := e.call("POST", "/containers/"+e.id+"/start", nil)
			e.equal("status where the whole range is taken", a.status, conflict)
			e.stillCreated(128)
		}},
		{fields: "HostConfig.PublishAllPorts ExposedPorts", prove: func(c *trial) {
			c.host["PublishAllPorts"] = true
			c.config["ExposedPorts"] = object{"4000/tcp": object{}}
			c.start(greeter)
			_, port := c.binding("4000/tcp")
			c.hears("127.0.0.1:" + port)
			c.shows("HostConfig.PublishAllPorts", true)
			c.shows("Config.ExposedPorts", object{"4000/tcp": object{}})
		}},
		{fields: "ExposedPorts", prove: func(c *trial) {
			c.config["ExposedPorts"] = object{"4000/tcp": object{}, "4001/udp": object{}}
			c.idle()
			c.shows("Config.ExposedPorts", c.config["ExposedPorts"])
			c.shows("NetworkSettings.Ports", object{"4000/tcp": nil, "4001/udp": nil})
			// It is told to those that link.
			d := c.another()
			d.host["Links"] = list{c.name + ":alias"}
			address := c.exec("hostname -i")
			d.matches("environment of a linked container", d.run("env"), `ALIAS_PORT_4001_UDP=udp://`+address+`:4001\n`)
		}},
	}
}
