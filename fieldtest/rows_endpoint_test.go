package fieldtest

import "strings"

// endpointRows are about the container's place in its network at creation.
func endpointRows() []row {
	const ep = "NetworkingConfig.EndpointsConfig"
	return []row{
		{fields: "NetworkingConfig " + ep + " " + ep + ".IPAMConfig " + ep + ".IPAMConfig.IPv4Address", prove: func(c *trial) {
			subnet := c.subnet()
			network := c.network(subnet + "0/24")
			address := subnet + "77"
			c.host["NetworkMode"] = network
			c.endpoints[network] = object{"IPAMConfig": object{"IPv4Address": address}}
			c.idle()
			c.matches("address", c.exec("ip -4 -o addr show eth0"), `inet `+address+`/24`)
			c.shows("NetworkSettings.Networks."+network+".IPAMConfig", object{"IPv4Address": address})
			c.shows("NetworkSettings.Networks."+network+".IPAddress", address)
		}},
		{fields: ep + ".IPAMConfig.IPv6Address", name: "outside of the network", prove: func(c *trial) {
			network := c.network(c.subnet() + "0/24")
			c.host["NetworkMode"] = network
			c.endpoints[network] = object{"IPAMConfig": object{"IPv6Address": "fd00:dead::5"}}
			c.config["Cmd"] = list{"true"}
			a := c.tryCreate()
			if a.status == 201 {
				a = c.call("POST", "/containers/"+c.id+"/start", nil)
			}
			if a.status < 400 || a.status == 500 {
				c.Errorf("an address of a subnet that the network does not have: %v", a)
			}
			c.matches("an address of a subnet that the network does not have", a.text(), "fd00:dead::5|IPv6|user configured subnets")
		}},
		{fields: ep + ".IPAMConfig.IPv6Address", prove: func(c *trial) {
			subnet := c.subnet()
			prefix := "fd00:be:" + strings.Split(subnet, ".")[2]
			network := c.network(subnet+"0/24", prefix+"::/64")
			c.host["NetworkMode"] = network
			c.endpoints[network] = object{"IPAMConfig": object{"IPv6Address": prefix + "::77"}}
			c.idle()
			c.matches("address", c.exec("ip -6 -o addr show eth0"), `inet6 `+prefix+`::77/64`)
			c.shows("NetworkSettings.Networks."+network+".IPAMConfig", object{"IPv6Address": prefix + "::77"})
			c.shows("NetworkSettings.Networks."+network+".GlobalIPv6Address", prefix+"::77")
		}},
		{fields: ep + ".Aliases", prove: func(c *trial) {
			network := c.network(c.subnet() + "0/24")
			c.host["NetworkMode"] = network
			c.endpoints[network] = object{"Aliases": list{"another-name"}}
			c.idle()
			d := c.another()
			d.host["NetworkMode"] = network
			d.matches("name", d.run("nslookup another-name 127.0.0.11"), c.exec("hostname -i"))
			c.matches("inspect's aliases", print(at(c.inspected(), "NetworkSettings.Networks."+network+".Aliases")), `"another-name"`)
		}},
		{fields: ep + ".Links", prove: func(c *trial) {
			network := c.network(c.subnet() + "0/24")
			other := c.another()
			other.host["NetworkMode"] = network
			other.idle()
			c.host["NetworkMode"] = network
			c.endpoints[network] = object{"Links": list{other.name + ":linked"}}
			c.matches("name", c.run("nslookup linked 127.0.0.11"), other.exec("hostname -i"))
			c.shows("NetworkSettings.Networks."+network+".Links", list{other.name + ":linked"})
			d := c.another()
			d.host["NetworkMode"] = network
			d.lacks("the name is this container's alone", d.run("nslookup linked 127.0.0.11 2>&1; true"), other.exec("hostname -i"))
		}},
		// What the engine says of a place is no wish of the client's.
		{fields: ep + ".EndpointID " + ep + ".Gateway " + ep + ".IPAddress " + ep + ".IPPrefixLen " + ep + ".IPv6Gateway " + ep + ".GlobalIPv6Address " + ep + ".GlobalIPv6PrefixLen " + ep + ".MacAddress " + ep + ".NetworkID", name: "are results", prove: func(c *trial) {
			subnet := c.subnet()
			network := c.network(subnet + "0/24")
			c.host["NetworkMode"] = network
			sent := object{
				"EndpointID": "0123", "Gateway": "10.1.1.1", "IPAddress": "10.1.1.2", "IPPrefixLen": 31, "IPv6Gateway": "fd00::1",
				"GlobalIPv6Address": "fd00::2", "GlobalIPv6PrefixLen": 127, "MacAddress": "02:00:00:00:00:99", "NetworkID": "4567",
			}
			c.endpoints[network] = sent
			c.idle()
			inside := c.exec("ip -o addr show eth0; cat /sys/class/net/eth0/address; ip route")
			c.matches("address and route", inside, `(?s)inet `+subnet+`\d+/24.*default via `+subnet+`1 `)
			c.lacks("what was sent", inside, `10\.1\.1\.|fd00::2|02:00:00:00:00:99`)
			shown := at(c.inspected(), "NetworkSettings.Networks."+network).(object)
			for field, value := range sent {
				if print(shown[field]) == print(value) {
					c.Errorf("inspect repeats %s: %v", field, value)
				}
			}
			c.equal("MacAddress", shown["MacAddress"], c.exec("cat /sys/class/net/eth0/address"))
			c.equal("IPAddress", shown["IPAddress"], c.exec("hostname -i"))
			c.equal("Gateway", shown["Gateway"], subnet+"1")
		}},
	}
}
