package mutate

import "strings"

// Rule is what the case must notice, a finding's: status, content-type, header,
// body, value, effect, stream or transport. "" for a mutation that is not listed,
// which nothing then is enough for.
func (m Mutation) Rule() string { return noticed()[m.Case+": "+m.Name] }

// Since is the first version that has what the mutation changes.
func (m Mutation) Since() string {
	switch operation, _, _ := strings.Cut(m.Case, "/"); operation {
	case "ContainerArchiveInfo", "PutContainerArchive":
		return "1.20"
	case "VolumeList", "VolumeCreate", "VolumeInspect", "VolumeDelete",
		"NetworkList", "NetworkInspect", "NetworkCreate", "NetworkConnect", "NetworkDisconnect", "NetworkDelete":
		return "1.21"
	case "ContainerUpdate":
		return "1.22"
	}
	switch m.Case + ": " + m.Name {
	case "SystemInfo/info: an integer instead of a boolean":
		return "1.19"
	case "ContainerInspect/inspect: a nested property is missing", "SystemEvents/live: events lack their nanoseconds":
		return "1.21"
	}
	if m.Case == "ContainerInspect/inspect-size" || m.Case == "ContainerInspect/boolean-size" {
		return "1.21"
	}
	return "1.18"
}

func noticed() map[string]string {
	return map[string]string{
		"ContainerList/list-all-before: a property of every container is missing":    "body",
		"ContainerList/list-all-before: a number is a string":                        "body",
		"ContainerList/list-all-before: an object is null":                           "body",
		"ContainerList/list-all-before: a property that the version does not have":   "body",
		"ContainerList/list-all-before: the list is empty":                           "value",
		"ContainerList/list-all-before: the list is an object":                       "body",
		"ContainerInspect/inspect: another success status":                           "status",
		"ContainerInspect/inspect: another media type":                               "content-type",
		"ContainerInspect/inspect: no Api-Version":                                   "header",
		"ContainerInspect/inspect: a nested property is missing":                     "body",
		"ContainerInspect/inspect: a wrong exit code":                                "value",
		"ContainerInspect/inspect: a list is a string":                               "body",
		"ContainerInspect/inspect: a list is null":                                   "body",
		"ContainerInspect/inspect: a name without its slash":                         "value",
		"ContainerInspect/inspect: a nested property too many":                       "body",
		"ContainerInspect/inspect: the JSON is cut off":                              "body",
		"ContainerInspect/inspect-size: sizes are missing":                           "value",
		"ContainerCreate/create: 200 instead of 201":                                 "status",
		"ContainerCreate/create: a short id":                                         "value",
		"ContainerCreate/create: no warnings at all":                                 "body",
		"ContainerCreate/create: settings get lost":                                  "effect",
		"ContainerTop/top: other titles":                                             "value",
		"ContainerTop/top: a row with a cell":                                        "value",
		"ContainerChanges/changes: an added file is a changed one":                   "value",
		"ContainerWait/waits: the exit code is a string":                             "value",
		"ContainerWait/waits: the exit code is another":                              "value",
		"ContainerWait/waits: wait does not wait":                                    "stream",
		"ContainerArchiveInfo/archive-info: the path's header is missing":            "header",
		"ContainerArchiveInfo/archive-info: the path's header is plain JSON":         "header",
		"ContainerStart/start: start does nothing":                                   "effect",
		"ContainerStop/stop: stop does nothing":                                      "effect",
		"ContainerRestart/restart: restart does nothing":                             "effect",
		"ContainerKill/kill: kill does nothing":                                      "effect",
		"ContainerRename/rename: rename does nothing":                                "effect",
		"ContainerPause/pause: pause does nothing":                                   "effect",
		"ContainerUnpause/unpause: unpause does nothing":                             "effect",
		"ContainerResize/resize: resize does nothing":                                "effect",
		"ContainerDelete/delete: remove does nothing":                                "effect",
		"ContainerUpdate/update: update does nothing":                                "effect",
		"PutContainerArchive/archive-put: unpacking does nothing":                    "effect",
		"ContainerLogs/plain: outputs change places in the log":                      "stream",
		"ContainerLogs/plain: the log has no frames":                                 "stream",
		"ContainerLogs/plain: the log is cut off":                                    "stream",
		"ContainerLogs/tail: all lines in spite of tail":                             "stream",
		"ContainerAttach/upgrade: 200 although the client upgrades":                  "status",
		"ContainerAttach/upgrade: no Upgrade in the answer":                          "header",
		"ContainerAttach/upgrade: another type of stream":                            "content-type",
		"ContainerAttach/upgrade: outputs change places":                             "stream",
		"ContainerAttach/upgrade: the last words get lost":                           "stream",
		"ContainerAttach/plain: no frames":                                           "stream",
		"ContainerAttach/terminal: frames with a terminal":                           "stream",
		"ContainerAttachWebsocket/attach-websocket: a wrong key in the handshake":    "header",
		"ContainerAttachWebsocket/attach-websocket: bytes get lost in the socket":    "stream",
		"ContainerExport/export: the export is cut off":                              "stream",
		"ContainerExport/export: the export has another type":                        "content-type",
		"ContainerStats/stats: a sample lacks its memory":                            "body",
		"ExecStart/exec-start: exec's outputs change places":                         "stream",
		"ExecStart/exec-start: exec's last words get lost":                           "stream",
		"ExecStart/terminal: exec has frames with a terminal":                        "stream",
		"SystemEvents/until: an event gets lost":                                     "stream",
		"SystemEvents/live: events lack their nanoseconds":                           "body",
		"ContainerLogs/plain: frames change places":                                  "stream",
		"ContainerLogs/silent: the head of the log comes with its first byte":        "transport",
		"ContainerAttach/silent: the head of attach comes with the first byte":       "transport",
		"ContainerAttach/silent-plain: the head of attach comes with the first byte": "transport",
		"ExecStart/silent: the head of exec comes with the first byte":               "transport",
		"ContainerAttach/upgrade: output comes when the container ends":              "stream",
		"ContainerAttach/upgrade: the end of standard input gets lost":               "stream",
		"SystemEvents/live: events come when the stream ends":                        "stream",
		"ContainerLogs/slow-reader: a slow reader loses the end of the log":          "stream",
		"ContainerAttach/slow-reader: a slow reader gets frames in another order":    "stream",
		"ContainerInspect/boolean-size: no word of size shows sizes":                 "effect",
		"ContainerInspect/boolean-size: a word that is none counts as 0":             "value",
		"ContainerLogs/boolean-stdout: all outputs in spite of stdout=0":             "effect",
		"ContainerList/malformed-filters: a wrong filter is ignored":                 "status",
		"SystemEvents/bad-since: a moment that is none is ignored":                   "status",
		"VolumeCreate/unknown-property: an unknown property is refused":              "status",
		"ImageList/list: names are missing":                                          "body",
		"ImageList/list: sizes are strings":                                          "body",
		"ImageList/list: the parent is missing":                                      "value",
		"ImageInspect/inspect: the image's id is another":                            "value",
		"ImageInspect/inspect: the architecture is missing":                          "body",
		"ImageHistory/history: the comment is missing in the history":                "value",
		"ImageHistory/history: tags are a string":                                    "body",
		"ImageTag/tag: tag does nothing":                                             "effect",
		"ImageDelete/remove: remove does nothing":                                    "effect",
		"ImageDelete/remove: the answer does not say what was untagged":              "value",
		"ImageLoad/load: load loads nothing":                                         "effect",
		"ImageGet/save-repository: the archive is cut off":                           "stream",
		"ImageGetAll/save-several: the archive is empty":                             "stream",
		"ImageCreate/pull: a line of progress has a number as status":                "body",
		"ImageCreate/pull: progress without CR":                                      "stream",
		"ImagePush/push: the push reports an error":                                  "effect",
		"ImageBuild/build: the build does not say what it built":                     "effect",
		"ImageSearch/search: stars are strings":                                      "body",
		"SystemAuth/login: the login has another text":                               "value",
		"SystemInfo/info: the number of processors is missing":                       "body",
		"SystemInfo/info: memory is a string":                                        "body",
		"SystemInfo/info: an integer instead of a boolean":                           "body",
		"SystemVersion/version: the version is null":                                 "body",
		"SystemPing/ping: the pong is another":                                       "body",
		"ImageCommit/commit: the committed id is another":                            "effect",
		"ImageCommit/commit: commit forgets the command":                             "effect",
		"ContainerExec/exec-create: a short exec id":                                 "value",
		"ExecInspect/exec-inspect: exec's exit code is another":                      "value",
		"ExecInspect/exec-inspect: exec's user is missing":                           "body",
		"ExecResize/exec-resize: resize of exec does nothing":                        "effect",
		"ContainerList/boolean-words: a container that never ran is shown":           "body",
		"ContainerCreate/field-HostConfig.DnsSearch: a set property gets lost":       "effect",
		"VolumeList/list: volumes lack their driver":                                 "body",
		"VolumeList/list: the list of volumes lacks its warnings":                    "body",
		"VolumeCreate/create: the mount point is a number":                           "body",
		"VolumeInspect/inspect: the volume's name is another":                        "value",
		"VolumeDelete/remove: remove does nothing":                                   "effect",
		"NetworkList/list-custom: networks lack their scope":                         "body",
		"NetworkInspect/inspect: the network shows no containers":                    "value",
		"NetworkCreate/create: the answer to create lacks its warning":               "body",
		"NetworkConnect/connect: connect does nothing":                               "effect",
		"NetworkDisconnect/disconnect: disconnect does nothing":                      "effect",
		"NetworkDelete/remove: remove does nothing":                                  "effect",
		"ContainerInspect/unknown-name: 500 for what does not exist":                 "status",
		"ContainerInspect/unknown-name: an error as JSON":                            "content-type",
		"ContainerInspect/unknown-name: an error without its newline":                "body",
		"ContainerInspect/unknown-name: an error without words":                      "body",
		"ContainerStart/running-already: 204 for what runs already":                  "status",
		"VolumeCreate/wrong-types: a wrong type is taken":                            "status",
		"ContainerCreate/malformed-body: malformed JSON is taken":                    "status",
	}
}
