package mutate

import (
	"bytes"
	"net/http"

	"github.com/seed-50ced230/berth/conformance/wire"
)

// Mutations lists every wrong behaviour that the suite is tried with, at least
// one for each tag, each kind of answer and each kind of check.
func Mutations() []Mutation {
	var all []Mutation
	for _, group := range [][]Mutation{
		containerAnswers(), containerEffects(), containerStreams(), timing(), words(), images(), misc(), volumesAndNetworks(), refusals(),
	} {
		all = append(all, group...)
	}
	return all
}

func containerAnswers() []Mutation {
	const (
		list    = `^GET /v[^/]+/containers/json`
		inspect = `^GET /v[^/]+/containers/[^/]+/json`
		create  = `^POST /v[^/]+/containers/create$` // without a name: the case itself, not its fixtures
		top     = `^GET /v[^/]+/containers/[^/]+/top`
	)
	return []Mutation{
		{"a property of every container is missing", "ContainerList/list-all-before", on(list, drop("*", "Names"))},
		{"a number is a string", "ContainerList/list-all-before", on(list, set("now", "*", "Created"))},
		{"an object is null", "ContainerList/list-all-before", on(list, set(nil, "*", "Labels"))},
		{"a property that the version does not have", "ContainerList/list-all-before", on(list, set("x", "*", "SizeOnMoon"))},
		{"the list is empty", "ContainerList/list-all-before", on(list, bodyText("[]\n"))},
		{"the list is an object", "ContainerList/list-all-before", on(list, bodyText("{}\n"))},
		{"another success status", "ContainerInspect/inspect", on(inspect, status(http.StatusAccepted))},
		{"another media type", "ContainerInspect/inspect", on(inspect, header("Content-Type", "text/html"))},
		{"no Api-Version", "ContainerInspect/inspect", on(inspect, header("Api-Version", ""))},
		{"a nested property is missing", "ContainerInspect/inspect", on(inspect, drop("State", "Dead"))},
		{"a wrong exit code", "ContainerInspect/inspect", on(inspect, set(0, "State", "ExitCode"))},
		{"a list is a string", "ContainerInspect/inspect", on(inspect, set("x", "HostConfig", "Binds"))},
		{"a list is null", "ContainerInspect/inspect", on(inspect, set(nil, "Args"))},
		{"a name without its slash", "ContainerInspect/inspect", on(inspect, set("name", "Name"))},
		{"a nested property too many", "ContainerInspect/inspect", on(inspect, set(1, "Config", "Colour"))},
		{"the JSON is cut off", "ContainerInspect/inspect", on(inspect, func(a *Answer) { a.Body = a.Body[:len(a.Body)/2] })},
		{"sizes are missing", "ContainerInspect/inspect-size", on(inspect, drop("SizeRootFs"))},
		{"200 instead of 201", "ContainerCreate/create", on(create, status(http.StatusOK))},
		{"a short id", "ContainerCreate/create", on(create, set("e90e34656806", "Id"))},
		{"no warnings at all", "ContainerCreate/create", on(create, drop("Warnings"))},
		{"settings get lost", "ContainerCreate/create", on(inspect, set(0, "HostConfig", "CpuShares"))},
		{"other titles", "ContainerTop/top", on(top, set("NAME", "Titles", "0"))},
		{"a row with a cell", "ContainerTop/top", on(top, set([]string{"x"}, "Processes", "0"))},
		{"an added file is a changed one", "ContainerChanges/changes", on(`^GET /v[^/]+/containers/[^/]+/changes`, set(0, "*", "Kind"))},
		{"the exit code is a string", "ContainerWait/waits", on(`/wait$`, set("137", "StatusCode"))},
		{"the exit code is another", "ContainerWait/waits", on(`/wait$`, set(0, "StatusCode"))},
		{"wait does not wait", "ContainerWait/waits", swallow(`/wait$`, http.StatusOK, `{"StatusCode":137}`)},
		{"the path's header is missing", "ContainerArchiveInfo/archive-info", on(`^HEAD `, header("X-Docker-Container-Path-Stat", ""))},
		{"the path's header is plain JSON", "ContainerArchiveInfo/archive-info", on(`^HEAD `, header("X-Docker-Container-Path-Stat", `{"name":"hello"}`))},
	}
}

func containerEffects() []Mutation {
	nothing := func(action string) Change {
		return swallow(`^POST /v[^/]+/containers/[^/]+/`+action, http.StatusNoContent, "")
	}
	return []Mutation{
		{"start does nothing", "ContainerStart/start", nothing("start")},
		{"stop does nothing", "ContainerStop/stop", nothing("stop")},
		{"restart does nothing", "ContainerRestart/restart", nothing("restart")},
		{"kill does nothing", "ContainerKill/kill", nothing("kill")},
		{"rename does nothing", "ContainerRename/rename", nothing("rename")},
		{"pause does nothing", "ContainerPause/pause", nothing("pause")},
		{"unpause does nothing", "ContainerUnpause/unpause", nothing("unpause")},
		{"resize does nothing", "ContainerResize/resize", swallow(`/containers/[^/]+/resize`, http.StatusOK, "")},
		{"remove does nothing", "ContainerDelete/delete", swallow(`^DELETE /v[^/]+/containers/[^/]+\?v=1$`, http.StatusNoContent, "")},
		{"update does nothing", "ContainerUpdate/update", swallow(`/update$`, http.StatusOK, `{"Warnings":[]}`)},
		{"unpacking does nothing", "PutContainerArchive/archive-put", swallow(`^PUT `, http.StatusOK, "")},
	}
}

func containerStreams() []Mutation {
	const (
		logs   = `^GET /v[^/]+/containers/[^/]+/logs\?stderr=1&stdout=1$`
		attach = `^POST /v[^/]+/containers/[^/]+/attach`
		socket = `/attach/ws`
	)
	swapped := frames(func(frame wire.Frame) []byte {
		frame.Stream = 3 - frame.Stream
		return encode(frame)
	})
	unframed := frames(func(frame wire.Frame) []byte { return frame.Payload })
	noTail := frames(func(frame wire.Frame) []byte {
		if bytes.Contains(frame.Payload, []byte("tail")) {
			return []byte{}
		}
		return encode(frame)
	})
	return []Mutation{
		{"outputs change places in the log", "ContainerLogs/plain", streaming(logs, swapped)},
		{"the log has no frames", "ContainerLogs/plain", streaming(logs, unframed)},
		{"the log is cut off", "ContainerLogs/plain", streaming(logs, cutAfter(20))},
		{"all lines in spite of tail", "ContainerLogs/tail", streaming(`/logs\?.*tail=2`, frames(func(frame wire.Frame) []byte {
			return append(encode(frame), encode(frame)...)
		}))},
		{"200 although the client upgrades", "ContainerAttach/upgrade", streaming(attach, status(http.StatusOK))},
		{"no Upgrade in the answer", "ContainerAttach/upgrade", streaming(attach, header("Upgrade", ""))},
		{"another type of stream", "ContainerAttach/upgrade", streaming(attach, header("Content-Type", "text/plain"))},
		{"outputs change places", "ContainerAttach/upgrade", streaming(attach, swapped)},
		{"the last words get lost", "ContainerAttach/upgrade", streaming(attach, noTail)},
		{"no frames", "ContainerAttach/plain", streaming(attach, unframed)},
		{"frames with a terminal", "ContainerAttach/terminal", streaming(attach, bytesOf(func(piece []byte) []byte {
			if len(piece) == 0 {
				return nil
			}
			return encode(wire.Frame{Stream: wire.Stdout, Payload: piece})
		}))},
		{"a wrong key in the handshake", "ContainerAttachWebsocket/attach-websocket", streaming(socket, header("Sec-WebSocket-Accept", "wrong"))},
		{"bytes get lost in the socket", "ContainerAttachWebsocket/attach-websocket", streaming(socket, bytesOf(bytes.ToUpper))},
		{"the export is cut off", "ContainerExport/export", streaming(`/export$`, cutAfter(10_000))},
		{"the export has another type", "ContainerExport/export", streaming(`/export$`, header("Content-Type", "application/json"))},
		{"a sample lacks its memory", "ContainerStats/stats", streaming(`/stats`, bytesOf(func(piece []byte) []byte {
			return bytes.ReplaceAll(piece, []byte(`"memory_stats"`), []byte(`"memory_state"`))
		}))},
		{"exec's outputs change places", "ExecStart/exec-start", streaming(`/exec/[^/]+/start`, swapped)},
		{"exec's last words get lost", "ExecStart/exec-start", streaming(`/exec/[^/]+/start`, noTail)},
		{"exec has frames with a terminal", "ExecStart/terminal", streaming(`/exec/[^/]+/start`, bytesOf(func(piece []byte) []byte {
			if len(piece) == 0 {
				return nil
			}
			return encode(wire.Frame{Stream: wire.Stdout, Payload: piece})
		}))},
		{"an event gets lost", "SystemEvents/until", streaming(`/events\?`, bytesOf(func(piece []byte) []byte {
			return bytes.ReplaceAll(piece, []byte(`"status":"die"`), []byte(`"status":"dye"`))
		}))},
		{"events lack their nanoseconds", "SystemEvents/live", streaming(`/events`, bytesOf(func(piece []byte) []byte {
			return bytes.ReplaceAll(piece, []byte(`"timeNano"`), []byte(`"timeMano"`))
		}))},
	}
}

// timing is what comes late, in another order or not to its end.
func timing() []Mutation {
	const (
		logs   = `^GET /v[^/]+/containers/[^/]+/logs\?follow=1&stdout=1$`
		attach = `^POST /v[^/]+/containers/[^/]+/attach`
		exec   = `/exec/[^/]+/start`
	)
	return []Mutation{
		{"frames change places", "ContainerLogs/plain", streaming(`^GET /v[^/]+/containers/[^/]+/logs\?stderr=1&stdout=1$`, reordered())},
		{"the head of the log comes with its first byte", "ContainerLogs/silent", lateHead(logs)},
		{"the head of attach comes with the first byte", "ContainerAttach/silent", lateHead(attach)},
		{"the head of attach comes with the first byte", "ContainerAttach/silent-plain", lateHead(attach)},
		{"the head of exec comes with the first byte", "ExecStart/silent", lateHead(exec)},
		{"output comes when the container ends", "ContainerAttach/upgrade", streaming(attach, atTheEnd())},
		{"the end of standard input gets lost", "ContainerAttach/upgrade", deafToEnd(attach)},
		{"events come when the stream ends", "SystemEvents/live", streaming(`/events`, atTheEnd())},
		{"a slow reader loses the end of the log", "ContainerLogs/slow-reader", streaming(logs, cutAfter(1<<20))},
		{"a slow reader gets frames in another order", "ContainerAttach/slow-reader", streaming(attach, reordered())},
	}
}

// words is what a parameter must make of what it is given.
func words() []Mutation {
	ignored := func(a *Answer) {
		if a.Status >= http.StatusBadRequest {
			*a = Answer{Status: http.StatusOK, Header: http.Header{"Api-Version": {"1.23"}, "Content-Type": {"application/json"}}, Body: []byte("[]\n")}
		}
	}
	return []Mutation{
		{"no word of size shows sizes", "ContainerInspect/boolean-size", on(`/json\?size=`, drop("SizeRw"))},
		{"a word that is none counts as 0", "ContainerInspect/boolean-size", on(`/json\?size=certainly`, drop("SizeRw"))},
		{"all outputs in spite of stdout=0", "ContainerLogs/boolean-stdout", streaming(`/logs\?`, bytesOf(func(piece []byte) []byte {
			return bytes.ReplaceAll(piece, []byte("on stderr"), []byte("on stdout"))
		}))},
		{"a wrong filter is ignored", "ContainerList/malformed-filters", on(`/containers/json\?`, ignored)},
		{"a moment that is none is ignored", "SystemEvents/bad-since", on(`/events\?`, ignored)},
		{"an unknown property is refused", "VolumeCreate/unknown-property", on(`/volumes/create$`, status(http.StatusBadRequest))},
	}
}

func images() []Mutation {
	const (
		list    = `^GET /v[^/]+/images/json`
		inspect = `^GET /v[^/]+/images/[^?]+/json`
		history = `^GET /v[^/]+/images/[^?]+/history`
		remove  = `^DELETE /v[^/]+/images/[^?]+$`
	)
	return []Mutation{
		{"names are missing", "ImageList/list", on(list, drop("*", "RepoTags"))},
		{"sizes are strings", "ImageList/list", on(list, set("1", "*", "Size"))},
		{"the parent is missing", "ImageList/list", on(list, set("", "*", "ParentId"))},
		{"the image's id is another", "ImageInspect/inspect", on(inspect, set("sha256:0", "Id"))},
		{"the architecture is missing", "ImageInspect/inspect", on(inspect, drop("Architecture"))},
		{"the comment is missing in the history", "ImageHistory/history", on(history, set("", "0", "Comment"))},
		{"tags are a string", "ImageHistory/history", on(history, set("a:latest", "0", "Tags"))},
		{"tag does nothing", "ImageTag/tag", swallow(`/tag\?`, http.StatusCreated, "")},
		{"remove does nothing", "ImageDelete/remove", swallow(remove, http.StatusOK, `[{"Untagged":"x"},{"Deleted":"y"}]`)},
		{"the answer does not say what was untagged", "ImageDelete/remove", on(remove, drop("0", "Untagged"))},
		{"load loads nothing", "ImageLoad/load", swallow(`/images/load$`, http.StatusOK, "{\"stream\":\"x\"}\r\n")},
		{"the archive is cut off", "ImageGet/save-repository", streaming(`/images/[^/]+/get`, cutAfter(100_000))},
		{"the archive is empty", "ImageGetAll/save-several", on(`/images/get\?`, bodyText(string(make([]byte, 1024))))},
		{"a line of progress has a number as status", "ImageCreate/pull", on(`/images/create`, bodyText("{\"status\":1}\r\n"))},
		{"progress without CR", "ImageCreate/pull", on(`/images/create`, replace("\r\n", "\n"))},
		{"the push reports an error", "ImagePush/push", on(`/push`, func(a *Answer) {
			a.Body = append(a.Body, "{\"error\":\"no\",\"errorDetail\":{\"message\":\"no\"}}\r\n"...)
		})},
		{"the build does not say what it built", "ImageBuild/build", on(`/build`, replace("Successfully", "Nearly"))},
		{"stars are strings", "ImageSearch/search", on(`/images/search`, set("7", "*", "star_count"))},
	}
}

func misc() []Mutation {
	const info, exec = `/info$`, `^GET /v[^/]+/exec/[^/]+/json`
	return []Mutation{
		{"the login has another text", "SystemAuth/login", on(`/auth$`, set("Welcome", "Status"))},
		{"the number of processors is missing", "SystemInfo/info", on(info, drop("NCPU"))},
		{"memory is a string", "SystemInfo/info", on(info, set("2 GB", "MemTotal"))},
		{"an integer instead of a boolean", "SystemInfo/info", on(info, set(1, "Debug"))},
		{"the version is null", "SystemVersion/version", on(`/version$`, set(nil, "ApiVersion"))},
		{"the pong is another", "SystemPing/ping", on(`/_ping$`, bodyText("KO"))},
		{"the committed id is another", "ImageCommit/commit", on(`/commit`, set("sha256:"+zeros, "Id"))},
		{"commit forgets the command", "ImageCommit/commit", on(`/images/myrepo/json`, set(nil, "Config", "Cmd"))},
		{"a short exec id", "ContainerExec/exec-create", on(`^POST /v[^/]+/containers/[^/]+/exec$`, set("f90e34656806", "Id"))},
		{"exec's exit code is another", "ExecInspect/exec-inspect", on(exec, set(0, "ExitCode"))},
		{"exec's user is missing", "ExecInspect/exec-inspect", on(exec, drop("ProcessConfig", "tty"))},
		{"resize of exec does nothing", "ExecResize/exec-resize", swallow(`/exec/[^/]+/resize`, http.StatusCreated, "")},
		{"a container that never ran is shown", "ContainerList/boolean-words", Change{
			Matches: matching(`/containers/json\?all=none`), Instead: func() Answer {
				return Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(`null`)}
			},
		}},
		{"a set property gets lost", "ContainerCreate/field-HostConfig.DnsSearch", on(`^GET /v[^/]+/containers/[^/]+/json`, set([]string{}, "HostConfig", "DnsSearch"))},
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func volumesAndNetworks() []Mutation {
	const network = `^GET /v[^/]+/networks/[^/]+$`
	return []Mutation{
		{"volumes lack their driver", "VolumeList/list", on(`^GET /v[^/]+/volumes$`, drop("Volumes", "*", "Driver"))},
		{"the list of volumes lacks its warnings", "VolumeList/list", on(`^GET /v[^/]+/volumes$`, drop("Warnings"))},
		{"the mount point is a number", "VolumeCreate/create", on(`/volumes/create$`, set(1, "Mountpoint"))},
		{"the volume's name is another", "VolumeInspect/inspect", on(`^GET /v[^/]+/volumes/[^/]+$`, set("other", "Name"))},
		{"remove does nothing", "VolumeDelete/remove", swallow(`^DELETE /v[^/]+/volumes/[^/]+$`, http.StatusNoContent, "")},
		{"networks lack their scope", "NetworkList/list-custom", on(`^GET /v[^/]+/networks\?`, drop("*", "Scope"))},
		{"the network shows no containers", "NetworkInspect/inspect", on(network, set(map[string]any{}, "Containers"))},
		{"the answer to create lacks its warning", "NetworkCreate/create", on(`/networks/create$`, drop("Warning"))},
		{"connect does nothing", "NetworkConnect/connect", swallow(`/connect$`, http.StatusOK, "")},
		{"disconnect does nothing", "NetworkDisconnect/disconnect", swallow(`/disconnect$`, http.StatusOK, "")},
		{"remove does nothing", "NetworkDelete/remove", swallow(`^DELETE /v[^/]+/networks/[^/]+$`, http.StatusNoContent, "")},
	}
}

func refusals() []Mutation {
	const unknown = `/containers/[^/]+-none/json`
	return []Mutation{
		{"500 for what does not exist", "ContainerInspect/unknown-name", on(unknown, status(http.StatusInternalServerError))},
		{"an error as JSON", "ContainerInspect/unknown-name", on(unknown, header("Content-Type", "application/json"))},
		{"an error without its newline", "ContainerInspect/unknown-name", on(unknown, replace("\n", ""))},
		{"an error without words", "ContainerInspect/unknown-name", on(unknown, bodyText("\n"))},
		{"204 for what runs already", "ContainerStart/running-already", on(`/start$`, func(a *Answer) {
			if a.Status == http.StatusNotModified {
				a.Status = http.StatusNoContent
			}
		})},
		{"a wrong type is taken", "VolumeCreate/wrong-types", swallow(`/volumes/create$`, http.StatusCreated, `{"Name":"x"}`)},
		{"malformed JSON is taken", "ContainerCreate/malformed-body", on(`/containers/create$`, status(http.StatusCreated))},
	}
}
