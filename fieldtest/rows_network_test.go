package fieldtest

import "strings"

// networkRows are about names and addresses.
func networkRows() []row {
	return []row{
		{fields: "NetworkDisabled", prove: func(c *trial) {
			c.config["NetworkDisabled"] = true
			c.equal("devices", c.run("ls /sys/class/net"), "lo")
			c.shows("Config.NetworkDisabled", true)
		}},
		{fields: "MacAddress", prove: func(c *trial) {
			c.config["MacAddress"] = "02:42:0a:d8:01:99"
			c.idle()
			c.equal("address", c.exec("cat /sys/class/net/eth0/address"), "02:42:0a:d8:01:99")
			c.shows("Config.MacAddress", "02:42:0a:d8:01:99")
			c.shows("NetworkSettings.MacAddress", "02:42:0a:d8:01:99")
		}},
		{fields: "HostConfig.Dns HostConfig.DnsSearch", prove: func(c *trial) {
			c.host["Dns"], c.host["DnsSearch"] = list{"10.9.8.7", "10.9.8.6"}, list{"one.example", "two.example"}
			c.matches("resolv.conf", c.run("cat /etc/resolv.conf"), `(?s)search one\.example two\.example\n.*nameserver 10\.9\.8\.7\nnameserver 10\.9\.8\.6`)
			c.shows("HostConfig.Dns", list{"10.9.8.7", "10.9.8.6"})
			c.shows("HostConfig.DnsSearch", list{"one.example", "two.example"})
		}},
		{fields: "HostConfig.DnsSearch", name: "nothing", prove: func(c *trial) {
			c.host["DnsSearch"] = list{"."}
			c.lacks("resolv.conf", c.run("cat /etc/resolv.conf"), `search`)
		}},
		{fields: "HostConfig.DnsOptions", prove: func(c *trial) {
			c.host["DnsOptions"] = list{"ndots:3", "rotate"}
			c.matches("resolv.conf", c.run("cat /etc/resolv.conf"), `(?m)^options ndots:3 rotate$`)
			c.shows("HostConfig.DnsOptions", list{"ndots:3", "rotate"})
		}},
		{fields: "HostConfig.ExtraHosts", prove: func(c *trial) {
			c.host["ExtraHosts"] = list{"one:10.9.8.7", "six:2001:db8::6"}
			c.matches("hosts", c.run("cat /etc/hosts"), `(?m)^10\.9\.8\.7\s+one\n2001:db8::6\s+six$`)
			c.shows("HostConfig.ExtraHosts", list{"one:10.9.8.7", "six:2001:db8::6"})
		}},
		{fields: "HostConfig.Links", prove: func(c *trial) {
			other := c.another()
			other.config["Hostname"], other.config["Env"] = "theirs", list{"OF=theirs"}
			other.config["ExposedPorts"] = object{"4000/tcp": object{}}
			other.idle()
			address := other.exec("hostname -i")
			c.host["Links"] = list{other.name + ":alias"}
			c.matches("hosts and environment", c.run("cat /etc/hosts; env | sort"),
				`(?s)`+address+`\s+alias theirs `+other.name+`\n.*ALIAS_ENV_OF=theirs\nALIAS_NAME=/`+c.name+`/alias\nALIAS_PORT=tcp://`+address+`:4000\nALIAS_PORT_4000_TCP=tcp://`+address+`:4000\nALIAS_PORT_4000_TCP_ADDR=`+address+`\nALIAS_PORT_4000_TCP_PORT=4000\nALIAS_PORT_4000_TCP_PROTO=tcp\n`)
			c.shows("HostConfig.Links", list{"/" + other.name + ":/" + c.name + "/alias"})
			// DELETE with link=1 takes the link away and leaves both containers.
			c.must("DELETE", "/containers/"+c.name+"/alias?link=1", nil)
			c.must("POST", "/containers/"+c.id+"/start", nil)
			c.wait()
			c.equal("lines with the alias of both runs", strings.Count(c.logs(), "alias theirs"), 1)
			c.shows("HostConfig.Links", nil)
			other.shows("State.Running", true)
		}},
		{fields: "HostConfig.Links", name: "reach", prove: func(c *trial) {
			other := c.another().start("nc -l -p 4000 -e echo hello")
			c.host["Links"] = list{other.name + ":alias"}
			c.equal("what is heard", c.run("for i in 1 2 3 4 5 6 7 8 9; do nc alias 4000 </dev/null && break; sleep 0.1; done"), "hello")
		}},
	}
}
