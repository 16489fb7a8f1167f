package fieldtest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// What the engine with user namespaces makes carries this name.
const (
	remappedBridge  = "berthfield1"
	remappedAddress = "10.217.0.1/24"
)

// The ids that "default" gives to a container's root where no user has any yet:
// the ids are those of a user that the engine has made, in this process's own
// /etc.
const remappedRoot = 100000

// ofFile is the owner of a file as this process, and so the host, sees it.
func ofFile(t *testing.T, path string) string {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		t.Errorf("%s: %v", path, err)
		return ""
	}
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}

// upper is where a container's own files are on the disk.
func (c *trial) upper(path string) string {
	return filepath.Join(c.below("data/image/rw"), c.id, "upper", path)
}

func (c *trial) below(path string) string { return filepath.Join(c.side.dir, path) }

// hostIDs are the ids of the container's first process on the host.
func (c *trial) hostIDs() string {
	c.Helper()
	pid, _ := at(c.inspected(), "State.Pid").(float64)
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", int(pid)))
	if err != nil {
		c.Fatal(err)
	}
	var ids []string
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "Uid:" || f[0] == "Gid:") {
			ids = append(ids, f[1])
		}
	}
	return strings.Join(ids, ":")
}

// Containers in user namespaces: whatever looks at them sees the ids that they
// see, on the disk, too; only their processes have others.
func TestUserNamespaces(t *testing.T) {
	s := berthSide(t, "mapped", remappedBridge, remappedAddress, "--userns-remap", "default")
	build := newTrial(t, "1.23")
	build.side = *s
	mappedBuild(build) // before, because the first makes a directory that stays
	leavesNothing(t, *s, func() {
		t.Run("all", func(t *testing.T) {
			for name, prove := range map[string]func(*trial){
				"ids": mappedIDs, "another user": mappedUser, "volumes": mappedVolumes, "binds": mappedBinds, "archives": mappedArchives,
				"capabilities of files": mappedCapabilities, "devices": mappedDevices, "network": mappedNetwork,
				"the host's namespace": hostUserns, "refusals": mappedRefusals, "shared namespaces": mappedSharing, "out of memory": mappedMemory,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c := newTrial(t, "1.23")
					c.side = *s
					prove(c)
				})
			}
		})
	})
	// A restart finds them again.
	c := newTrial(t, "1.23")
	c.side = *s
	c.idle()
	s.Kill()
	<-s.Ended()
	again, err := s.Restart(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Daemon = again
	c.side = *s
	c.equal("exec after a restart", c.exec("id -u; cat /proc/self/uid_map | tr -s ' '"), "0\n 0 100000 65536")
	c.put("/tmp", tarOf(t, tar.Header{Name: "after", Uid: 7, Gid: 8}))
	c.equal("owner of a file put after a restart", c.exec("stat -c %u:%g /tmp/after"), "7:8")
	c.must("POST", "/containers/"+c.id+"/restart?t=0", nil)
	c.equal("after its own restart", c.exec("stat -c %u:%g /tmp/after; cat /proc/1/uid_map | tr -s ' '"), "7:8\n 0 100000 65536")
	c.must("DELETE", "/containers/"+c.id+"?force=1&v=1", nil)
}

func mappedIDs(c *trial) {
	c.config["Image"] = richImage
	c.config["User"], c.config["Entrypoint"] = "root", list{}
	c.host["UsernsMode"] = ""
	c.idle()
	c.equal("map", c.exec("cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '"), "0 100000 65536\n 0 100000 65536")
	c.equal("root of the container on the host", c.hostIDs(), "100000:100000")
	c.equal("owners of the image's files", c.exec("stat -c %u:%g / /etc/passwd /content/file"), "0:0\n0:0\n1234:2345")
	c.equal("owners of the engine's files", c.exec("stat -c %u:%g /etc/hosts /etc/resolv.conf /etc/hostname; echo '10.0.0.1 x' >>/etc/hosts && echo written"), "0:0\n0:0\n0:0\nwritten")
	c.equal("what it makes", c.exec("mkdir -p /new && echo x >/new/file && chown 5:6 /new/file && rm /content/file && stat -c %u:%g /new /new/file"), "0:0\n5:6")
	for path, want := range map[string]string{"new": "0:0", "new/file": "5:6", "content/file": "0:0"} { // the last is a whiteout
		c.equal("owner on the disk of "+path, ofFile(c.T, c.upper(path)), want)
	}
	c.equal("changes", c.call("GET", "/containers/"+c.id+"/changes", nil).text(),
		`[{"Path":"/content","Kind":0},{"Path":"/content/file","Kind":2},{"Path":"/imagevolume","Kind":1},{"Path":"/new","Kind":1},{"Path":"/new/file","Kind":1}]`)
	c.matches("exported", headers(c.T, c.must("GET", "/containers/"+c.id+"/export", nil).body), `(?m)^new/file 5:6$`)
	c.equal("sysfs and procfs", c.exec("test -d /sys/class/net/eth0 && grep -c eth0 /proc/net/dev"), "1")
	c.shows("HostConfig.UsernsMode", "")
	c.shows("State.Running", true)
}

func mappedUser(c *trial) {
	c.config["User"] = "1000:1001"
	c.idle()
	c.equal("inside", c.exec("id -u; id -g; echo x >/tmp/x; stat -c %u:%g /tmp/x"), "1000\n1001\n1000:1001")
	c.equal("on the host", c.hostIDs(), "101000:101001")
	c.equal("on the disk", ofFile(c.T, c.upper("tmp/x")), "1000:1001")
	c.equal("somebody else's file", c.exec("(: >/etc/passwd) 2>&1 || true"), "sh: can't create /etc/passwd: Permission denied")
	c.must("POST", "/containers/"+c.id+"/kill?signal=KILL", nil)
	c.equal("killed", c.wait(), 137)
}

func mappedVolumes(c *trial) {
	c.config["Image"], c.config["User"], c.config["Entrypoint"] = richImage, "root", list{}
	volume := c.volume()
	c.host["Binds"] = list{volume + ":/content"}
	c.equal("the image's content", c.run("stat -c %u:%g /content /content/file; echo x >/content/mine; chown 9:9 /content/mine; stat -c %u:%g /content/mine"), "1234:2345\n1234:2345\n9:9")
	data := c.below("data/volumes/" + volume + "/_data")
	for name, want := range map[string]string{"": "1234:2345", "file": "1234:2345", "mine": "9:9"} {
		c.equal("owner on the disk of "+name, ofFile(c.T, filepath.Join(data, name)), want)
	}
	d := c.another()
	d.host["VolumesFrom"] = list{c.name + ":ro"}
	d.matches("from another", d.run("stat -c %u:%g /content/mine; touch /content/x 2>&1 || true"), `^9:9\n.*Read-only`)
}

// Directories of the host are as they are: root there is not root here.
func mappedBinds(c *trial) {
	dir := c.dir("file", "of the host\n")
	if err := os.Chmod(dir, 0o755); err != nil {
		c.Fatal(err)
	}
	theirs := filepath.Join(dir, "theirs")
	if err := os.Mkdir(theirs, 0o700); err != nil {
		c.Fatal(err)
	}
	if err := os.Chown(theirs, remappedRoot, remappedRoot); err != nil {
		c.Fatal(err)
	}
	c.host["Binds"] = list{dir + ":/given"}
	c.idle()
	c.equal("inside", c.exec("cat /given/file; stat -c %u:%g /given/file /given/theirs; (: >/given/file) 2>&1; echo x >/given/theirs/x; stat -c %u:%g /given/theirs/x"),
		"of the host\n65534:65534\n0:0\nsh: can't create /given/file: Permission denied\n0:0")
	c.equal("on the host", ofFile(c.T, filepath.Join(theirs, "x")), "100000:100000")
}

// put extracts an archive into the container.
func (c *trial) put(path string, archive []byte) {
	c.Helper()
	a, err := c.request(http.MethodPut, "/v"+c.version+"/containers/"+c.id+"/archive"+query("path", path), bytes.NewReader(archive), "application/x-tar")
	if err != nil || a.status != http.StatusOK {
		c.Fatalf("put an archive: %v %v", a, err)
	}
}

// tarOf makes an archive of small files.
func tarOf(t *testing.T, files ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range files {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, 1
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, "x"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// headers are the names, owners and capabilities in an archive.
func headers(t *testing.T, archive []byte) string {
	t.Helper()
	var lines []string
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return strings.Join(lines, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%s %d:%d", h.Name, h.Uid, h.Gid)
		if capability := h.PAXRecords["SCHILY.xattr.security.capability"]; capability != "" {
			line += fmt.Sprintf(" %x", capability)
		}
		lines = append(lines, line)
	}
}

// Archives have the container's ids, whether it runs or not.
func mappedArchives(c *trial) {
	volume := c.volume()
	c.host["Binds"] = list{volume + ":/data"}
	c.config["Cmd"] = list{"sleep", "1000"}
	c.create()
	long := strings.Repeat("n", 150) // needs a record of its own
	files := tarOf(c.T, tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755, Uid: 3, Gid: 4}, tar.Header{Name: "d/file", Uid: 1234, Gid: 2345},
		tar.Header{Name: "d/link", Typeflag: tar.TypeSymlink, Linkname: "file", Uid: 5, Gid: 5}, tar.Header{Name: "d/" + long})
	want := "d/ 3:4\nd/file 1234:2345\nd/link 5:5\nd/" + long + " 0:0"
	get := func(path string) string {
		return headers(c.T, c.must("GET", "/containers/"+c.id+"/archive"+query("path", path), nil).body)
	}
	for _, place := range []string{"/tmp", "/data"} {
		c.put(place, files)
		c.equal("at rest, in "+place, get(place+"/d"), want)
	}
	c.must("POST", "/containers/"+c.id+"/start", nil)
	for _, place := range []string{"/tmp", "/data"} {
		c.equal("running, in "+place, get(place+"/d"), want)
		c.equal("from inside, in "+place, c.exec("cd "+place+"/d && stat -c %u:%g . file link "+long), "3:4\n1234:2345\n5:5\n0:0")
	}
	for _, place := range []string{"/home", "/data"} {
		c.put(place, files)
		c.equal("put while it runs, in "+place, get(place+"/d"), want)
		c.equal("from inside, in "+place, c.exec("cd "+place+"/d && stat -c %u:%g . file link "+long), "3:4\n1234:2345\n5:5\n0:0")
	}
	c.equal("on the disk", ofFile(c.T, c.upper("home/d/file")), "1234:2345")
	c.equal("by the older copy", headers(c.T, c.must("POST", "/containers/"+c.id+"/copy", object{"Resource": "/home/d/file"}).body), "file 1234:2345")
	// An id that the map does not have cannot be given to a file.
	a, err := c.request(http.MethodPut, "/v1.23/containers/"+c.id+"/archive?path=/home", bytes.NewReader(tarOf(c.T, tar.Header{Name: "far", Uid: 70000})), "application/x-tar")
	if err != nil {
		c.Fatal(err)
	}
	c.equal("status of an id that the map lacks", a.status, http.StatusBadRequest)
}

// A file's capabilities are the container's own, however they came to it.
func mappedCapabilities(c *trial) {
	// Version 2, effective, CAP_NET_RAW permitted (linux/capability.h).
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00" + strings.Repeat("\x00", 12)
	c.config["Cmd"], c.config["User"] = list{"sleep", "1000"}, "1000"
	c.create()
	program := c.must("GET", "/containers/"+c.id+"/archive?path=/bin/busybox", nil).body
	r := tar.NewReader(bytes.NewReader(program))
	h, err := r.Next()
	if err != nil {
		c.Fatal(err)
	}
	var marked bytes.Buffer
	w := tar.NewWriter(&marked)
	h.Format, h.Mode = tar.FormatPAX, 0o755
	h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": capability}
	if err := w.WriteHeader(h); err != nil {
		c.Fatal(err)
	}
	if _, err := io.Copy(w, r); err != nil {
		c.Fatal(err)
	}
	if err := w.Close(); err != nil {
		c.Fatal(err)
	}
	const effective = "CapEff:\t0000000000002000"
	c.put("/tmp", marked.Bytes())
	c.must("POST", "/containers/"+c.id+"/start", nil)
	c.put("/home", marked.Bytes())
	c.equal("without", c.exec("grep CapEff /proc/self/status"), "CapEff:\t0000000000000000")
	for _, place := range []string{"tmp", "home"} {
		got := headers(c.T, c.must("GET", "/containers/"+c.id+"/archive?path=/"+place+"/busybox", nil).body)
		c.equal("read back from "+place, got, fmt.Sprintf("busybox 0:0 %x", capability))
		value := make([]byte, 64)
		n, err := syscall.Getxattr(c.upper(place+"/busybox"), "security.capability", value)
		if err != nil {
			c.Fatal(err)
		}
		c.equal("on the disk, in "+place, fmt.Sprintf("%x", value[:n]), fmt.Sprintf("%x", capability))
		c.equal("to the program in "+place, c.exec("/"+place+"/busybox grep CapEff /proc/self/status"), effective)
	}
	c.must("POST", "/commit?container="+c.id+"&repo=marked&tag=1", object{})
	c.Cleanup(func() { c.call("DELETE", "/images/marked:1", nil) })
	for _, mode := range []string{"", "host"} {
		d := c.another()
		d.config["Image"], d.config["User"], d.host["UsernsMode"] = "marked:1", "1000", mode
		d.equal("of an image, UsernsMode "+mode, d.run("/home/busybox grep CapEff /proc/self/status; /tmp/busybox grep CapEff /proc/self/status"), effective+"\n"+effective)
	}
}

// What a build and a commit make has the ids that the container saw.
func mappedBuild(c *trial) {
	dockerfile := "FROM busybox\nRUN echo x >/run && chown 11:12 /run && test \"$(cat /proc/self/uid_map | tr -s ' ')\" = ' 0 100000 65536'\nCOPY file /copied\nUSER 1000\nRUN echo y >/tmp/own\n"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{"Dockerfile": dockerfile, "file": "text"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg, Uid: 77}); err != nil {
			c.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			c.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		c.Fatal(err)
	}
	a, err := c.request(http.MethodPost, "/v1.23/build?t=mapped:1&rm=1", &b, "application/x-tar")
	if err != nil || !strings.Contains(a.text(), "Successfully built") {
		c.Fatalf("build: %v %v", a, err)
	}
	c.Cleanup(func() { c.call("DELETE", "/images/mapped:1", nil) })
	c.config["Image"], c.config["User"] = "mapped:1", "0"
	want := "11:12\n0:0\n1000:0"
	c.equal("inside", c.run("stat -c %u:%g /run /copied /tmp/own"), want)
	d := c.another()
	d.config["Image"], d.host["UsernsMode"], d.config["User"] = "mapped:1", "host", "0"
	d.equal("without a user namespace", d.run("stat -c %u:%g /run /copied /tmp/own; wc -l </proc/self/uid_map; tr -s ' ' </proc/self/uid_map"), want+"\n1\n 0 0 4294967295")
}

func mappedDevices(c *trial) {
	node := c.deviceNode("node")
	c.host["Devices"] = list{object{"PathOnHost": node, "PathInContainer": "/dev/mine", "CgroupPermissions": "r"}}
	c.matches("node", c.run("ls -ln /dev/mine | awk '{print $1,$3,$4,$5,$6}'; cat /dev/mine 2>&1; (: >/dev/mine) 2>&1; mknod /made c 261 7 2>&1; true"),
		`^crw-r----- 0 0 261, 7\n(.*\n)*.*`+noDriver+`(.*\n)*.*/dev/mine: `+denied+`\n(.*\n)*mknod: /made: `+denied)
}

// The network is the container's own: its root may do everything there, and the
// host reaches its ports.
func mappedNetwork(c *trial) {
	c.host["PortBindings"] = object{"4000/tcp": list{object{"HostIp": "127.0.0.1"}}}
	c.host["CapAdd"] = list{"NET_ADMIN"}
	c.start(greeter)
	c.equal("root of the network", c.exec("ip addr add 10.9.9.9/24 dev eth0 && ip -o -4 addr show eth0 | wc -l; ping -c1 -W5 10.217.0.1 >/dev/null && echo reached"), "2\nreached")
	_, port := c.binding("4000/tcp")
	c.hears("127.0.0.1:" + port)
}

func hostUserns(c *trial) {
	c.host["UsernsMode"], c.host["Privileged"], c.host["PidMode"] = "host", true, "host"
	c.idle()
	c.equal("map", c.exec("tr -s ' ' </proc/self/uid_map"), "0 0 4294967295")
	c.equal("on the host", c.hostIDs(), "0:0")
	c.shows("HostConfig.UsernsMode", "host")
}

func mappedRefusals(c *trial) {
	for field, text := range map[string]string{
		"Privileged":  `^Privileged mode is incompatible with user namespaces`,
		"NetworkMode": `^Cannot share the host's network namespace when user namespaces are enabled$`,
		"PidMode":     `^Cannot share the host PID namespace when user namespaces are enabled$`,
	} {
		d := c.another()
		d.config["Cmd"] = list{"true"}
		d.host[field] = any("host")
		if field == "Privileged" {
			d.host[field] = true
		}
		a := d.tryCreate()
		d.equal("status of "+field, a.status, bad)
		d.matches("text of "+field, a.text(), text)
	}
	// These can be had.
	d := c.another()
	d.host["IpcMode"], d.host["ReadonlyRootfs"] = "host", true
	d.config["Hostname"] = "own"
	d.equal("with the host's IPC namespace", d.run("readlink /proc/self/ns/ipc; hostname; touch /x 2>&1 | grep -c Read-only"), link(d, "/proc/self/ns/ipc")+"\nown\n1")
	e := c.another()
	e.host["UTSMode"] = "host"
	e.equal("with the host's UTS namespace", e.run("readlink /proc/self/ns/uts"), link(e, "/proc/self/ns/uts"))
}

// Containers that share a namespace share the user namespace that it belongs to.
func mappedSharing(c *trial) {
	c.idle()
	theirs := c.exec("readlink /proc/self/ns/user; readlink /proc/self/ns/net")
	user, network, _ := strings.Cut(theirs, "\n")
	for _, field := range []string{"NetworkMode", "IpcMode", "PidMode"} {
		d := c.another()
		d.host[field] = "container:" + c.name
		out := d.run("readlink /proc/self/ns/user; readlink /proc/self/ns/net; ls /sys/class/net >/dev/null && ls /proc/self >/dev/null && echo x >/dev/shm/x && id -u")
		where := `net:\[\d+\]`
		if field == "NetworkMode" {
			where = regexp.QuoteMeta(network)
		}
		d.matches("namespaces with "+field, out, "^"+regexp.QuoteMeta(user)+"\n"+where+"\n0$")
	}
	host := c.another()
	host.host["UsernsMode"] = "host"
	host.idle()
	own := c.another().idle()
	for name, modes := range map[string]object{
		"in the host's":     {"NetworkMode": "container:" + host.name},
		"in several":        {"IpcMode": "container:" + c.name, "PidMode": "container:" + own.name},
		"IPC in the host's": {"IpcMode": "container:" + host.name},
	} {
		d := c.another()
		d.config["Cmd"], d.host = list{"true"}, modes
		d.create()
		a := d.call("POST", "/containers/"+d.id+"/start", nil)
		d.equal("status of sharing "+name, a.status, conflict)
		d.matches("text of sharing "+name, a.text(), `user namespace`)
	}
	d := c.another()
	d.host["UsernsMode"], d.host["NetworkMode"] = "host", "container:"+c.name
	d.equal("from the host's", d.run("readlink /proc/self/ns/net"), network)
}

func mappedMemory(c *trial) {
	c.host["Memory"], c.host["OomScoreAdj"] = 16<<20, 500
	c.start("cat /proc/self/oom_score_adj; tail /dev/zero")
	c.equal("exit code", c.wait(), 137)
	c.equal("score", c.logs(), "500")
	c.shows("State.OOMKilled", true)
}
