package fieldtest

import (
	"fmt"
	"testing"

	"github.com/seed-50ced230/berth/spec"
)

// fleet are containers of one label: running, paused, exited with 0 and with 3,
// and created, in the order of their creation.
type fleet struct {
	*trial
	label                                   string
	running, paused, ended, failed, created *trial
}

func newFleet(t *testing.T, version string) fleet {
	c := newTrial(t, version)
	f := fleet{trial: c, label: "fleet=" + c.name}
	member := func() *trial {
		m := c.another()
		m.config["Labels"] = object{"fleet": c.name, "member": m.name}
		return m
	}
	f.running = member().idle()
	f.paused = member().idle()
	f.paused.must("POST", "/containers/"+f.paused.id+"/pause", nil)
	f.ended = member()
	f.ended.run("true")
	f.failed = member().start("exit 3")
	f.failed.wait()
	f.created = member()
	f.created.config["Image"] = richImage
	f.created.create()
	return f
}

// filtered asks for the fleet's containers that meet further filters, and wants
// these, the newest first.
func (f fleet) filtered(filters string, want ...*trial) {
	f.Helper()
	f.listed(filters, nil, want...)
}

func (f fleet) listed(filters string, pairs []string, want ...*trial) {
	f.Helper()
	if filters != "" {
		filters += ","
	}
	wanted := list{}
	for _, c := range want {
		wanted = append(wanted, c.id)
	}
	got := ids(f.list(append([]string{"filters", `{` + filters + `"label":["` + f.label + `"]}`}, pairs...)...))
	f.equal(fmt.Sprintf("containers with %s %v", filters, pairs), got, wanted)
}

// Every filter and parameter of lists.
func TestLists(t *testing.T) {
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			f := newFleet(t, v)
			all := []string{"all", "1"}
			f.filtered("", f.paused, f.running)
			f.listed("", all, f.created, f.failed, f.ended, f.paused, f.running)

			f.filtered(`"status":["running"]`, f.running)
			f.filtered(`"status":["paused"]`, f.paused)
			f.filtered(`"status":["exited"]`, f.failed, f.ended)
			f.filtered(`"status":["exited","paused"]`, f.failed, f.ended, f.paused)
			if v >= "1.20" {
				f.filtered(`"status":["created"]`, f.created)
			}
			f.filtered(`"status":["restarting"]`)
			f.filtered(`"exited":["0"]`, f.ended)
			f.filtered(`"exited":["3","0"]`, f.failed, f.ended)
			f.filtered(`"exited":["4"]`)
			f.filtered(`"status":{"exited":true}`, f.failed, f.ended) // as newer clients write it

			f.listed(`"id":["`+f.ended.id+`"]`, all, f.ended)
			f.listed(`"id":["`+f.ended.id[:20]+`","`+f.failed.id[:20]+`"]`, all, f.failed, f.ended)
			f.listed(`"id":["`+f.ended.id[30:]+`"]`, all, f.ended)
			f.listed(`"name":["`+f.ended.name+`"]`, all, f.ended)
			f.listed(`"name":["^/`+f.ended.name+`$","^`+f.failed.name+`$"]`, all, f.failed, f.ended)
			f.listed(`"name":["^nosuch`+f.ended.name+`$"]`, all)
			f.listed(`"name":["("]`, all)
			f.equal("containers with both labels", ids(f.list("all", "1", "filters", `{"label":["`+f.label+`","member=`+f.failed.name+`"]}`)), list{f.failed.id})
			f.equal("containers with a label's name", ids(f.list("all", "1", "filters", `{"label":["member","member=`+f.failed.name+`"]}`)), list{f.failed.id})
			f.equal("containers with another value", ids(f.list("all", "1", "filters", `{"label":["`+f.label+`","member=x"]}`)), list{})

			if v >= "1.22" {
				f.listed(`"before":["`+f.ended.name+`"]`, all, f.paused, f.running)
				f.listed(`"since":["`+f.ended.id+`"]`, all, f.created, f.failed)
				f.listed(`"since":["`+f.running.name+`"],"before":["`+f.failed.name+`"]`, all, f.ended, f.paused)
				f.listed(`"isolation":["default"]`, all, f.created, f.failed, f.ended, f.paused, f.running)
				f.listed(`"ancestor":["`+richImage+`"]`, all, f.created)
				f.listed(`"ancestor":["`+plainImage+`"]`, all, f.created, f.failed, f.ended, f.paused, f.running) // richImage is made of it
				f.listed(`"ancestor":["nosuch"]`, all)
			}
			f.listed("", []string{"before", f.ended.name}, f.paused, f.running)
			f.listed("", []string{"since", f.ended.id[:20]}, f.created, f.failed)
			f.listed("", []string{"since", f.running.name, "before", f.failed.name}, f.ended, f.paused)
			f.listed("", []string{"limit", "3"}, f.created, f.failed, f.ended)
			f.listed("", []string{"limit", "1", "all", "0"}, f.created)
			f.listed("", []string{"limit", "0"}, f.paused, f.running)
			f.listed("", []string{"limit", "-1"}, f.paused, f.running)

			for _, bad := range []struct {
				pairs  []string
				status int
				text   string
			}{
				{[]string{"filters", "nope"}, 400, `^Invalid filters: `},
				{[]string{"filters", `{"status":"running"}`}, 400, `^Invalid filters: .*'status'`},
				{[]string{"filters", `{"nope":["x"]}`}, 400, `^Invalid filter 'nope'$`},
				{[]string{"filters", `{"volume":["x"]}`}, 400, `^Invalid filter 'volume'$`},
				{[]string{"filters", `{"network":["x"]}`}, 400, `^Invalid filter 'network'$`},
				{[]string{"filters", `{"status":["nope"]}`}, 400, `^Unrecognised filter value for status: nope$`},
				{[]string{"filters", `{"exited":["x"]}`}, 400, `exited.*"x"`},
				{[]string{"filters", `{"before":["nosuch"]}`}, 404, `^No such container: nosuch$`},
				{[]string{"since", "nosuch"}, 404, `^No such container: nosuch$`},
				{[]string{"before", "nosuch"}, 404, `^No such container: nosuch$`},
				{[]string{"limit", "x"}, 400, `limit`},
			} {
				a := f.call("GET", "/containers/json"+query(bad.pairs...), nil)
				f.equal(fmt.Sprintf("status of %v", bad.pairs), a.status, bad.status)
				f.matches(fmt.Sprintf("text of %v", bad.pairs), a.text(), bad.text)
			}
		})
	}
}

// An item of a list has what its version documents, and true values.
func TestListItems(t *testing.T) {
	for _, v := range spec.Versions() {
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t, v)
			port := c.freePort()
			c.config["Labels"] = object{"a": "b"}
			c.config["ExposedPorts"] = object{"5000/udp": object{}}
			c.host["PortBindings"] = object{"4000/tcp": list{object{"HostIp": "127.0.0.1", "HostPort": port}}}
			dir := c.dir()
			c.host["Binds"] = list{dir + ":/given:ro"}
			c.idle()
			other := c.another()
			other.host["Links"] = list{c.name + ":alias"}
			other.config["Cmd"] = list{"true"}
			other.create()
			m := c.list("filters", `{"id":["`+c.id+`"]}`)[0]
			c.equal("Names", m["Names"], list{"/" + c.name, "/" + other.name + "/alias"})
			c.equal("Image", m["Image"], plainImage)
			c.equal("Command", m["Command"], "sh -c 'exec sleep 1000'")
			c.equal("Labels", m["Labels"], object{"a": "b"})
			c.equal("Ports", len(m["Ports"].(list)), 2)
			c.matches("Ports", print(m["Ports"]), `"IP":"127.0.0.1","PrivatePort":4000,"PublicPort":`+port+`,"Type":"tcp"`)
			c.matches("Ports", print(m["Ports"]), `"PrivatePort":5000,"Type":"udp"`)
			for field, since := range map[string]string{"ImageID": "1.21", "HostConfig": "1.22", "NetworkSettings": "1.22", "State": "1.23", "Mounts": "1.23"} {
				_, there := m[field]
				c.equal("whether there is "+field, there, c.since(since))
			}
			if c.since("1.21") {
				c.equal("ImageID", m["ImageID"], c.imageID(plainImage))
			}
			if c.since("1.22") {
				c.equal("HostConfig", m["HostConfig"], object{"NetworkMode": "default"})
				c.equal("address", at(m, "NetworkSettings.Networks.bridge.IPAddress"), c.exec("hostname -i"))
			}
			if c.since("1.23") {
				c.equal("Mounts", m["Mounts"], list{c.mount("/given")})
				c.equal("source of the mount", at(m["Mounts"].(list)[0], "Source"), dir)
			}
		})
	}
}
