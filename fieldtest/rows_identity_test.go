package fieldtest

import (
	"encoding/json"
	"strings"

	"github.com/seed-50ced230/berth/spec"
)

// identityRows are about who the container is.
func identityRows() []row {
	return []row{
		{fields: "Hostname", prove: func(c *trial) {
			c.config["Hostname"] = "ahost"
			c.equal("the kernel's name", c.run("cat /proc/sys/kernel/hostname /etc/hostname; echo $HOSTNAME; grep -c ' *ahost$' /etc/hosts"), "ahost\nahost\nahost\n1")
			c.shows("Config.Hostname", "ahost")
		}},
		{fields: "Hostname", name: "default", versions: spec.Versions(), prove: func(c *trial) {
			c.equal("the kernel's name", c.run("hostname"), c.id[:12])
			c.shows("Config.Hostname", c.id[:12])
		}},
		{fields: "Domainname", name: "part of the hostname", versions: between("1.18", "1.22"), prove: func(c *trial) {
			c.config["Hostname"], c.config["Domainname"] = "ahost", "example.org"
			c.matches("names", c.run("cat /proc/sys/kernel/hostname; cat /etc/hosts"), `(?s)^ahost\.example\.org\n.*\sahost\.example\.org ahost`)
			c.shows("Config.Hostname", "ahost.example.org")
			c.shows("Config.Domainname", "")
		}},
		{fields: "Domainname", name: "of its own", versions: since("1.23"), prove: func(c *trial) {
			c.config["Hostname"], c.config["Domainname"] = "ahost", "example.org"
			c.matches("names", c.run("cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname; cat /etc/hosts"), `(?s)^ahost\nexample\.org\n.*\sahost\.example\.org ahost`)
			c.shows("Config.Hostname", "ahost")
			c.shows("Config.Domainname", "example.org")
		}},
		{fields: "User", name: "name", prove: func(c *trial) {
			c.config["Image"], c.config["User"], c.config["Entrypoint"] = richImage, "worker", list{}
			c.equal("ids", c.run("id -u; id -g; id -G; grep CapEff /proc/self/status; echo $HOME"), "1234\n2345\n2345 3456\nCapEff:\t0000000000000000\n/home/worker")
			c.shows("Config.User", "worker")
		}},
		{fields: "User", name: "number and group's name", prove: func(c *trial) {
			c.config["User"] = "4321:nogroup"
			c.equal("ids", c.run("id -u; id -g"), "4321\n65534")
			c.shows("Config.User", "4321:nogroup")
		}},
		{fields: "User", name: "numbers", prove: func(c *trial) {
			c.config["User"] = "4321:5432"
			c.equal("ids", c.run("id -u; id -g; id -G"), "4321\n5432\n5432")
		}},
		{fields: "Image", name: "by name", prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{}
			c.equal("its content", c.run("cat /content/file; echo $FROM_IMAGE"), "from-image\nyes")
			c.shows("Config.Image", richImage)
		}},
		{fields: "Image", name: "by id", prove: func(c *trial) {
			id := c.imageID(richImage)
			c.config["Image"], c.config["Entrypoint"] = strings.TrimPrefix(id, "sha256:")[:12], list{}
			c.equal("its content", c.run("cat /content/file"), "from-image")
			c.equal("inspect's Image", strings.TrimPrefix(at(c.inspected(), "Image").(string), "sha256:"), strings.TrimPrefix(id, "sha256:"))
		}},
		{fields: "Labels", prove: func(c *trial) {
			c.config["Image"], c.config["Entrypoint"] = richImage, list{}
			c.config["Labels"] = object{"both": "client", "own": c.name}
			c.run("true")
			// A label does nothing inside; it is what lists are filtered by.
			for _, l := range []string{"both=client", "of=image", "own=" + c.name} {
				found := c.list("all", "1", "filters", `{"label":["`+l+`","own=`+c.name+`"]}`)
				c.equal("containers with label "+l, ids(found), list{c.id})
			}
			c.shows("Config.Labels", object{"both": "client", "of": "image", "own": c.name})
		}},
		{fields: "OnBuild", prove: func(c *trial) {
			c.config["OnBuild"] = list{"RUN true"}
			c.run("true")
			c.shows("Config.OnBuild", list{"RUN true"})
			// It is of images; one that is made of the container remembers it.
			c.must("POST", "/commit"+query("container", c.id, "repo", c.name), object{})
			c.Cleanup(func() { c.call("DELETE", "/images/"+c.name, nil) })
			var image object
			if err := json.Unmarshal(c.must("GET", "/images/"+c.name+"/json", nil).body, &image); err != nil {
				c.Fatal(err)
			}
			c.equal("the image's container's OnBuild", at(image, "ContainerConfig.OnBuild"), list{"RUN true"})
		}},
		{fields: "HostConfig HostConfig.ContainerIDFile", prove: func(c *trial) {
			c.host["ContainerIDFile"] = "/nosuch/cidfile"
			c.equal("the file in the container", c.run("ls /nosuch 2>/dev/null || echo none"), "none")
			c.shows("HostConfig.ContainerIDFile", "/nosuch/cidfile")
		}},
	}
}

// imageID is the id of an image as the version shows it.
func (c *trial) imageID(name string) string {
	c.Helper()
	var image object
	if err := json.Unmarshal(c.must("GET", "/images/"+name+"/json", nil).body, &image); err != nil {
		c.Fatal(err)
	}
	return image["Id"].(string)
}

// list asks for a list of containers.
func (c *trial) list(pairs ...string) []object {
	c.Helper()
	var found []object
	a := c.must("GET", "/containers/json"+query(pairs...), nil)
	if err := json.Unmarshal(a.body, &found); err != nil {
		c.Fatalf("list: %v: %v", a, err)
	}
	return found
}

func ids(containers []object) list {
	found := list{}
	for _, m := range containers {
		found = append(found, m["Id"])
	}
	return found
}
