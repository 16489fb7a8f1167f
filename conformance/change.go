package conformance

import (
	"slices"
	"strings"
)

// ChangeRow is a documented change between two versions and the cases that would
// turn red if it were not there.
type ChangeRow struct {
	// ID is the version and the position in its list of changes, "v1.19-03".
	ID string
	// Cases are operationId/name. At the version of the change and later they
	// ask for the new behaviour; where the version before has the same case, it
	// asks for the old one, because bodies must not have what a version does not
	// document.
	Cases []string
	// Alike says why the version before shows nothing else, for a change whose
	// cases neither that version has nor a case named before-<ID> shows.
	Alike string
	// Without says why no case shows the change.
	Without string
}

// Version is the version that brought the change.
func (c ChangeRow) Version() string {
	version, _, _ := strings.Cut(strings.TrimPrefix(c.ID, "v"), "-")
	return version
}

// ChangeRows lists the changes from 1.19 to 1.23.
func ChangeRows() []ChangeRow {
	row := func(id string, cases ...string) ChangeRow { return ChangeRow{ID: id, Cases: cases} }
	without := func(id, reason string) ChangeRow { return ChangeRow{ID: id, Without: reason} }
	return []ChangeRow{
		row("v1.19-01", "SystemVersion/too-new"),
		row("v1.19-02", "ContainerStats/one-sample"),
		row("v1.19-03", "ContainerLogs/since"),
		row("v1.19-04", "SystemInfo/info"),
		row("v1.19-05", "ContainerCreate/field-HostConfig.CpuPeriod", "ContainerCreate/field-HostConfig.CpuQuota", "ContainerInspect/inspect"),
		row("v1.19-06", "ImageBuild/cpu-limits", "ImageBuild/no-number-cpuperiod", "ImageBuild/no-number-cpuquota"),
		row("v1.20-01", "ContainerArchive/archive-get", "ContainerArchiveInfo/archive-info"),
		row("v1.20-02", "PutContainerArchive/archive-put"),
		row("v1.20-03", "ContainerCopy/copy"),
		row("v1.20-04", "ContainerCreate/field-HostConfig.GroupAdd", "ContainerInspect/inspect"),
		row("v1.21-01", "VolumeList/list"),
		row("v1.21-02", "VolumeCreate/create"),
		row("v1.21-03", "VolumeInspect/inspect"),
		row("v1.21-04", "VolumeDelete/remove"),
		row("v1.21-05", "ContainerInspect/inspect"),
		row("v1.21-06", "ImageInspect/inspect"),
		row("v1.21-07", "ContainerCreate/field-StopSignal"),
		row("v1.21-08", "ContainerStats/stats"),
		row("v1.21-09", "ContainerCreate/field-HostConfig.DnsOptions", "ContainerInspect/inspect"),
		row("v1.21-10", "ImageBuild/build-arguments"),
		row("v1.21-11", "SystemEvents/events-since", "SystemEvents/live"),
		row("v1.21-12", "SystemEvents/label-filter"),
		row("v1.21-13", "SystemInfo/info"),
		row("v1.21-14", "ContainerList/list-all-before"),
		row("v1.21-15", "ExecStart/container-stopped", "ExecStart/container-paused"),
		row("v1.21-16", "ContainerInspect/inspect-size"),
		row("v1.21-17", "ContainerInspect/inspect"),
		row("v1.21-18", "ExecInspect/exec-inspect"),
		without("v1.21-19", "the document has the field from 1.22 on only; ContainerCreate/field-HostConfig.OomScoreAdj asks for it there"),
		row("v1.22-01", "ContainerUpdate/update"),
		without("v1.22-02", "a filter for engines on Windows"),
		row("v1.22-03", "ContainerList/list-all-before"),
		row("v1.22-04", "SystemInfo/info"),
		row("v1.22-05", "NetworkInspect/inspect"),
		row("v1.22-06", "SystemVersion/version"),
		without("v1.22-07", "needs a registry with tokens of its own; a request with one looks the same as without"),
		row("v1.22-08", "ContainerCreate/kernel-memory-minimum"),
		row("v1.22-09", "ImageCreate/clients-leave", "ImagePush/clients-leave"),
		row("v1.22-10", "ContainerCreate/field-HostConfig.BlkioDeviceReadBps", "ContainerCreate/field-HostConfig.BlkioDeviceWriteBps", "ContainerCreate/field-HostConfig.BlkioDeviceReadIOps", "ContainerCreate/field-HostConfig.BlkioDeviceWriteIOps"),
		row("v1.22-11", "NetworkList/filters", "NetworkList/list-custom"),
		row("v1.22-12", "ContainerCreate/static-address"),
		row("v1.22-13", "NetworkConnect/connect"),
		row("v1.22-14", "SystemInfo/info"),
		row("v1.22-15", "NetworkCreate/create"),
		row("v1.22-16", "NetworkDisconnect/force", "NetworkDisconnect/disconnect"),
		row("v1.22-17", "ContainerInspect/inspect"),
		row("v1.22-18", "NetworkCreate/create"),
		row("v1.22-19", "NetworkInspect/inspect"),
		row("v1.22-20", "NetworkCreate/create"),
		row("v1.22-21", "SystemInfo/info"),
		row("v1.23-01", "ContainerList/list-all-before"),
		row("v1.23-02", "ContainerList/list-all-before"),
		row("v1.23-03", "NetworkInspect/inspect", "NetworkCreate/field-Internal"),
		row("v1.23-04", "NetworkInspect/inspect", "NetworkCreate/field-EnableIPv6"),
		row("v1.23-05", "ContainerUpdate/field-RestartPolicy"),
		row("v1.23-06", "NetworkCreate/field-EnableIPv6"),
		row("v1.23-07", "SystemInfo/info"),
		row("v1.23-08", "SystemInfo/info"),
		row("v1.23-09", "ContainerCreate/field-HostConfig.PidsLimit"),
		row("v1.23-10", "ContainerStats/stats"),
		without("v1.23-11", "has an effect only in an engine that maps users"),
		row("v1.23-12", "ContainerCreate/no-copy"),
		without("v1.23-13", "needs a registry that hands out identity tokens"),
		row("v1.23-14", "ContainerCreate/hostname-and-domain"),
	}
}

// labelChanges gives the cases of changes labels, "change:v1.19-03".
func labelChanges(cases []*Case) {
	for _, row := range ChangeRows() {
		for _, c := range cases {
			if c.Document.Version == versionBefore(row.Version()) && c.Name == "before-"+row.ID {
				c.Labels = append(c.Labels, "change:"+row.ID)
			}
			if c.Document.Version == row.Version() && slices.Contains(row.Cases, c.Operation.ID+"/"+c.Name) {
				c.Labels = append(c.Labels, "change:"+row.ID)
			}
		}
	}
}
