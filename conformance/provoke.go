package conformance

import (
	"bytes"
	"net/http"
	"net/url"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// provocation is a situation that the document has a status for. It becomes a
// case wherever the operation declares the status.
type provocation struct {
	name        string
	status      int
	requirement string
	// prepare builds the situation and returns what sends the request.
	prepare func(r *Run) func() *wire.Response
}

// provocations lists the situations of an operation.
func provocations(operation string) []provocation {
	switch operation {
	case "ContainerCreate":
		return []provocation{
			{"no-such-image", http.StatusNotFound, "A container of an image that does not exist is refused with 404.", func(r *Run) func() *wire.Response {
				return r.posting("/containers/create", nil, map[string]any{"Image": r.fresh() + "-none", "Cmd": []string{"true"}})
			}},
			{"name-taken", http.StatusConflict, "A name that another container has is refused with 409.", func(r *Run) func() *wire.Response {
				r.containerCreated()
				return r.posting("/containers/create", query("name", r.values["container-name"]), map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}})
			}},
			{"bad-name", http.StatusBadRequest, "A name with other characters than letters, digits, _, . and - is refused with 400.", func(r *Run) func() *wire.Response {
				return r.posting("/containers/create", query("name", "a b"), map[string]any{"Image": r.baseImage(), "Cmd": []string{"true"}})
			}},
		}
	case "ContainerList":
		return []provocation{{"before-unknown", http.StatusNotFound, "A container that does not exist as before is answered with 404.", func(r *Run) func() *wire.Response {
			return r.sending(http.MethodGet, "/containers/json", query("before", r.fresh()), nil)
		}}}
	case "ContainerStart":
		return []provocation{
			{"running-already", http.StatusNotModified, "Starting a running container is answered with 304.", onContainer((*Run).containerRunning, "/start", nil)},
			{"paused", http.StatusConflict, "Starting a paused container is refused with 409.", onContainer((*Run).containerPaused, "/start", nil)},
		}
	case "ContainerAttach":
		return []provocation{{"paused", http.StatusConflict, "Attaching to a paused container is refused with 409.", onContainer((*Run).containerPaused, "/attach", url.Values{"stream": {"1"}, "stdout": {"1"}})}}
	case "ContainerAttachWebsocket":
		return []provocation{{"no-handshake", http.StatusBadRequest, "A request that is no WebSocket handshake is refused with 400.", reading((*Run).containerRunning, "/attach/ws", url.Values{"stream": {"1"}, "stdout": {"1"}})}}
	case "ContainerStop":
		return []provocation{{"stopped-already", http.StatusNotModified, "Stopping a container that does not run is answered with 304.", onContainer((*Run).containerExited, "/stop", nil)}}
	case "ContainerKill":
		return []provocation{
			{"bad-signal", http.StatusBadRequest, "A signal that does not exist is refused with 400.", onContainer((*Run).containerRunning, "/kill", query("signal", "NOPE"))},
			{"not-running", http.StatusConflict, "Killing a container that does not run is refused with 409.", onContainer((*Run).containerExited, "/kill", nil)},
		}
	case "ContainerPause":
		return []provocation{{"paused-already", http.StatusConflict, "Pausing a paused container is refused with 409.", onContainer((*Run).containerPaused, "/pause", nil)}}
	case "ContainerUnpause":
		return []provocation{{"not-paused", http.StatusConflict, "Unpausing a container that is not paused is refused with 409.", onContainer((*Run).containerRunning, "/unpause", nil)}}
	case "ContainerRename":
		return []provocation{{"name-taken", http.StatusConflict, "A name that another container has is refused with 409.", func(r *Run) func() *wire.Response {
			r.containerCreated()
			taken := r.values["container-name"]
			r.containerCreated()
			return r.posting("/containers/"+r.values["container"]+"/rename", query("name", taken), nil)
		}}}
	case "ContainerResize":
		return []provocation{{"not-running", http.StatusConflict, "Resizing the terminal of a container that does not run is refused with 409.", onContainer((*Run).containerExited, "/resize", url.Values{"h": {"40"}, "w": {"80"}})}}
	case "ContainerTop":
		return []provocation{
			{"not-running", http.StatusConflict, "A container that does not run has no processes to list: 409.", reading((*Run).containerExited, "/top", nil)},
			{"bad-arguments", http.StatusBadRequest, "Arguments that ps does not understand are refused with 400.", reading((*Run).containerRunning, "/top", query("ps_args", "--no-such-option"))},
		}
	case "ContainerRestart":
		return []provocation{{"paused", http.StatusConflict, "Restarting a paused container is refused with 409.", onContainer((*Run).containerPaused, "/restart", nil)}}
	case "ContainerLogs":
		return []provocation{{"no-output-chosen", http.StatusBadRequest, "A request that chooses neither stdout nor stderr is refused with 400.", reading((*Run).containerExited, "/logs", nil)}}
	case "ContainerArchive":
		return archiveProvocations(http.MethodGet)
	case "ContainerArchiveInfo":
		return archiveProvocations(http.MethodHead)
	case "PutContainerArchive":
		return append(archiveProvocations(http.MethodPut), provocation{"read-only", http.StatusForbidden, "Unpacking into a read-only file system is refused with 403.", func(r *Run) func() *wire.Response {
			r.create(map[string]any{"HostConfig": map[string]any{"ReadonlyRootfs": true}})
			return r.sending(http.MethodPut, "/containers/"+r.values["container"]+"/archive", query("path", "/root"), r.madeUpBody())
		}})
	case "ContainerDelete":
		return []provocation{{"running", http.StatusConflict, "Removing a running container without force is refused with 409.", func(r *Run) func() *wire.Response {
			r.containerRunning()
			return r.sending(http.MethodDelete, "/containers/"+r.values["container"], nil, nil)
		}}}
	case "ContainerExec":
		return []provocation{
			{"container-paused", http.StatusConflict, "A command in a paused container is refused with 409.", func(r *Run) func() *wire.Response {
				r.containerPaused()
				return r.posting("/containers/"+r.values["container"]+"/exec", nil, map[string]any{"Cmd": []string{"true"}})
			}},
			{"no-command", http.StatusBadRequest, "An exec without a command is refused with 400.", func(r *Run) func() *wire.Response {
				r.containerRunning()
				return r.posting("/containers/"+r.values["container"]+"/exec", nil, map[string]any{"AttachStdout": true})
			}},
		}
	case "ExecStart":
		start := func(action string) func(*Run) func() *wire.Response {
			return func(r *Run) func() *wire.Response {
				r.containerRunning()
				r.execCreated()
				path := "/containers/" + r.values["container"] + action
				r.must(r.call(http.MethodPost, path, nil, nil), "POST "+path, http.StatusNoContent)
				return r.posting("/exec/"+r.values["exec"]+"/start", nil, map[string]any{"Detach": false, "Tty": false})
			}
		}
		return []provocation{
			{"container-stopped", http.StatusConflict, "A command in a container that was stopped is refused with 409.", start("/kill")},
			{"container-paused", http.StatusConflict, "A command in a container that was paused is refused with 409.", start("/pause")},
		}
	case "ExecResize":
		return []provocation{{"not-running", http.StatusConflict, "Resizing the terminal of a command that does not run is refused with 409.", func(r *Run) func() *wire.Response {
			r.containerRunning()
			r.execExited()
			return r.posting("/exec/"+r.values["exec"]+"/resize", url.Values{"h": {"40"}, "w": {"80"}}, nil)
		}}}
	}
	return otherProvocations(operation)
}

// otherProvocations is provocations for what is no container.
func otherProvocations(operation string) []provocation {
	switch operation {
	case "ImageTag":
		return []provocation{{"name-taken", http.StatusConflict, "A name that another image has is not moved without force: 409.", func(r *Run) func() *wire.Response {
			r.imageLoaded()
			taken := r.values["image"]
			r.imageLoaded()
			return r.posting("/images/"+r.values["image"]+"/tag", query("repo", taken), nil)
		}}, {"bad-name", http.StatusBadRequest, "A repository name with capital letters is refused with 400.", func(r *Run) func() *wire.Response {
			r.imageLoaded()
			return r.posting("/images/"+r.values["image"]+"/tag", query("repo", "BAD/NAME"), nil)
		}}}
	case "ImageGetAll":
		return []provocation{{"no-such-image", http.StatusNotFound, "An image that does not exist is answered with 404.", func(r *Run) func() *wire.Response {
			return r.sending(http.MethodGet, "/images/get", query("names", r.fresh()), nil)
		}}}
	case "ImageLoad":
		return []provocation{{"no-archive", http.StatusBadRequest, "A body that is no archive is refused with 400.", func(r *Run) func() *wire.Response {
			return r.sending(http.MethodPost, "/images/load", nil, bytes.Repeat([]byte("no archive "), 100))
		}}}
	case "ImageCreate":
		return []provocation{
			{"bad-name", http.StatusBadRequest, "A malformed name is refused with 400.", func(r *Run) func() *wire.Response {
				return r.posting("/images/create", url.Values{"fromImage": {"BAD/NAME"}, "tag": {"latest"}}, nil)
			}},
			{"no-source", http.StatusBadRequest, "A request with neither fromImage nor fromSrc is refused with 400.", func(r *Run) func() *wire.Response {
				return r.posting("/images/create", nil, nil)
			}},
			{"no-such-repository", http.StatusNotFound, "A repository that the registry does not have is answered with 404.", func(r *Run) func() *wire.Response {
				r.registryStarted()
				return r.posting("/images/create", url.Values{"fromImage": {r.values["registry"] + "/none"}, "tag": {"latest"}}, nil)
			}},
		}
	case "ImageDelete":
		return []provocation{{"in-use", http.StatusConflict, "An image that a running container uses is not removed: 409.", func(r *Run) func() *wire.Response {
			r.imageLoaded()
			name := r.values["image"]
			r.start(r.create(map[string]any{"Image": name}))
			return r.sending(http.MethodDelete, "/images/"+name, nil, nil)
		}}}
	case "ImageCommit":
		return []provocation{{"no-such-container", http.StatusNotFound, "Committing a container that does not exist is refused with 404.", func(r *Run) func() *wire.Response {
			return r.posting("/commit", query("container", r.fresh()), map[string]any{})
		}}}
	case "SystemAuth":
		return []provocation{{"wrong-password", http.StatusUnauthorized, "Credentials that the registry refuses are answered with 401.", func(r *Run) func() *wire.Response {
			r.registryWithLogin()
			return r.posting("/auth", nil, map[string]any{"username": "hannibal", "password": "wrong", "serveraddress": r.values["registry"]})
		}}}
	case "VolumeCreate":
		return []provocation{{"no-such-driver", http.StatusNotFound, "A volume driver that does not exist is answered with 404.", func(r *Run) func() *wire.Response {
			r.values["volume"] = r.fresh()
			return r.posting("/volumes/create", nil, map[string]any{"Name": r.values["volume"], "Driver": "no-such-driver"})
		}}, {"name-taken", http.StatusConflict, "The name of a volume with other options is refused with 409.", func(r *Run) func() *wire.Response {
			r.volumeCreated()
			return r.posting("/volumes/create", nil, map[string]any{"Name": r.values["volume"],
				"DriverOpts": map[string]string{"type": "tmpfs", "device": "tmpfs"}})
		}}}
	case "VolumeDelete":
		return []provocation{{"in-use", http.StatusConflict, "A volume that a container uses is not removed: 409.", func(r *Run) func() *wire.Response {
			r.volumeCreated()
			r.create(map[string]any{"HostConfig": map[string]any{"Binds": []string{r.values["volume"] + ":/data"}}})
			return r.sending(http.MethodDelete, "/volumes/"+r.values["volume"], nil, nil)
		}}}
	case "NetworkDelete":
		return []provocation{{"predefined", http.StatusForbidden, "The engine's own networks are not removed: 403.", func(r *Run) func() *wire.Response {
			// host, because it has no device that a wrong engine would take away.
			return r.sending(http.MethodDelete, "/networks/host", nil, nil)
		}}}
	case "NetworkCreate":
		return []provocation{
			{"no-such-driver", http.StatusNotFound, "A network driver that does not exist is answered with 404.", func(r *Run) func() *wire.Response {
				return r.posting("/networks/create", nil, map[string]any{"Name": r.fresh(), "Driver": "no-such-driver"})
			}},
			{"predefined", http.StatusForbidden, "The name of one of the engine's own networks is refused with 403.", func(r *Run) func() *wire.Response {
				return r.posting("/networks/create", nil, map[string]any{"Name": "host"})
			}},
			{"name-taken", http.StatusConflict, "With CheckDuplicate a name that another network has is refused with 409.", func(r *Run) func() *wire.Response {
				r.networkCreated()
				return r.posting("/networks/create", nil, map[string]any{"Name": r.values["name"], "CheckDuplicate": true})
			}},
		}
	case "NetworkConnect", "NetworkDisconnect":
		var already []provocation
		if operation == "NetworkConnect" {
			already = []provocation{{"connected-already", http.StatusConflict, "A container that is connected already is refused with 409.", func(r *Run) func() *wire.Response {
				r.networkCreated()
				r.containerInNetwork()
				return r.posting("/networks/"+r.values["network"]+"/connect", nil, map[string]any{"Container": r.values["container"]})
			}}}
		}
		action := map[string]string{"NetworkConnect": "/connect", "NetworkDisconnect": "/disconnect"}[operation]
		already = append(already, provocation{"host", http.StatusForbidden, "The host's network is chosen at creation, for good: 403.", func(r *Run) func() *wire.Response {
			settings := map[string]any{}
			if operation == "NetworkDisconnect" {
				settings["NetworkMode"] = "host"
			}
			r.startPatient(r.create(map[string]any{"HostConfig": settings}))
			return r.posting("/networks/host"+action, nil, map[string]any{"Container": r.values["container"]})
		}})
		return append(already, provocation{"no-such-container", http.StatusNotFound, "A container that does not exist is answered with 404.", func(r *Run) func() *wire.Response {
			r.networkCreated()
			return r.posting("/networks/"+r.values["network"]+action, nil, map[string]any{"Container": r.fresh()})
		}})
	}
	return nil
}

// archiveProvocations are those of the three operations on a path.
func archiveProvocations(method string) []provocation {
	at := func(query url.Values) func(*Run) func() *wire.Response {
		return func(r *Run) func() *wire.Response {
			r.containerCreated()
			var body any
			if method == http.MethodPut {
				body = r.madeUpBody()
			}
			return r.sending(method, "/containers/"+r.values["container"]+"/archive", query, body)
		}
	}
	return []provocation{
		{"no-path", http.StatusBadRequest, "A request without a path is refused with 400.", at(nil)},
		{"no-such-path", http.StatusNotFound, "A path that does not exist is answered with 404.", at(query("path", "/no/such/path"))},
	}
}

func (r *Run) sending(method, path string, query url.Values, body any) func() *wire.Response {
	return func() *wire.Response { return r.call(method, path, query, body) }
}

func (r *Run) posting(path string, query url.Values, body any) func() *wire.Response {
	return r.sending(http.MethodPost, path, query, body)
}

// onContainer posts to a container that a fixture makes.
func onContainer(build func(*Run), action string, query url.Values) func(*Run) func() *wire.Response {
	return func(r *Run) func() *wire.Response {
		build(r)
		return r.posting("/containers/"+r.values["container"]+action, query, nil)
	}
}

// reading is onContainer for GET.
func reading(build func(*Run), action string, query url.Values) func(*Run) func() *wire.Response {
	return func(r *Run) func() *wire.Response {
		build(r)
		return r.sending(http.MethodGet, "/containers/"+r.values["container"]+action, query, nil)
	}
}
