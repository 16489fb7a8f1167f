# Generated from the document of version 1.19; not to be edited.
"""The Docker Remote API, version 1.19: typed dictionaries for its models, and Client."""
from __future__ import annotations

from typing import Any, Dict, List, Optional, TypedDict

from .transport import Base, Body, Hijacked, Stream


#: Credentials for one registry. Sent as a body to check them, and as base64url-encoded JSON in the header `X-Registry-Auth`.
AuthConfig = TypedDict("AuthConfig", {
    # Login name.
    "username": "str",
    # Password in clear text.
    "password": "str",
    # Address that the account is registered with.
    "email": "str",
    # Registry as domain or IP address without scheme, or the full address of the public index; the public index when empty.
    "serveraddress": "str",
    # Base64 of `username:password`. Callers leave it empty; when it is set it stands in for an absent name and password.
    "auth": "str",
}, total=False)


#: Credentials by registry, each key a registry's host with its port if that is not 443. Base64url-encoded JSON in the header `X-Registry-Config`.
AuthConfigs = Dict[str, "Optional[AuthConfig]"]


#: Result of a successful login.
AuthResponse = TypedDict("AuthResponse", {
    # The registry's verdict as a text, for example `Login Succeeded`.
    "Status": "str",
}, total=False)


#: A program with its arguments, one list item per word. A request may also give a single string, which stands for a list of that one word and is not split; an empty string gives a list of one empty word. Answers always hold a list or null.
CommandLine = List["str"]


#: Result of a commit.
CommitResponse = TypedDict("CommitResponse", {
    # Id of the new image.
    "Id": "str",
}, total=False)


#: One path at which a container's filesystem differs from its image.
ContainerChange = TypedDict("ContainerChange", {
    # Absolute path as seen inside the container.
    "Path": "str",
    # What happened to the path. 0 is modified, 1 is added, 2 is deleted.
    "Kind": "int",
}, total=False)


#: The part of a container's settings that does not depend on the host. An image carries one as its defaults.
ContainerConfig = TypedDict("ContainerConfig", {
    # Host name inside the container. Empty means the first twelve digits of the container's id.
    "Hostname": "str",
    # Domain name inside the container.
    "Domainname": "str",
    # User that the process runs as, a name or number, with an optional group after a colon. Empty is root.
    "User": "str",
    # Whether the client that starts the container means to attach to standard input.
    "AttachStdin": "bool",
    # Whether the client that starts the container means to attach to standard output.
    "AttachStdout": "bool",
    # Whether the client that starts the container means to attach to standard error.
    "AttachStderr": "bool",
    # Whether the process gets a terminal. Its output is then one raw stream without frames.
    "Tty": "bool",
    # Whether standard input stays open for clients that attach later.
    "OpenStdin": "bool",
    # Whether standard input is closed for good when the first attached client leaves.
    "StdinOnce": "bool",
    # Environment variables, one NAME=value per item.
    "Env": "List[str]",
    # Command to run, or the arguments for Entrypoint when that is set.
    "Cmd": "CommandLine",
    # Program that every run starts with; Cmd is appended to it.
    "Entrypoint": "CommandLine",
    # Name or id of the image that the container is created from.
    "Image": "str",
    # Labels, free names and values.
    "Labels": "Dict[str, str]",
    # Paths in the container that get a volume of their own; a set.
    "Volumes": "Dict[str, EmptyObject]",
    # Working directory of the process. Empty is the root directory.
    "WorkingDir": "str",
    # Whether the container has no network but its loopback interface.
    "NetworkDisabled": "bool",
    # MAC address of the container's interface. Empty lets the engine choose.
    "MacAddress": "str",
    # Ports that the container listens on, each port/protocol; a set.
    "ExposedPorts": "Dict[str, EmptyObject]",
    # Dockerfile instructions that run when another image is built from this one.
    "OnBuild": "List[str]",
    # Ports in the notation of engines before 0.6. Kept for old clients, without effect.
    "PortSpecs": "StringSlice",
    # Volume driver that makes the volumes of this container. Empty is local.
    "VolumeDriver": "str",
    # Memory limit in bytes, for clients that do not know HostConfig.Memory. 0 sets no limit.
    "Memory": "int",
    # Limit in bytes of memory and swap together, for clients that do not know HostConfig.MemorySwap. -1 is unlimited.
    "MemorySwap": "int",
    # Relative weight of the container's CPU time, for clients that do not know HostConfig.CpuShares.
    "CpuShares": "int",
    # CPUs that the container may run on, for clients that do not know HostConfig.CpusetCpus; for example 0-2,7.
    "Cpuset": "str",
    # Name servers, a leftover of early engines in the configuration of an image. Without effect.
    "Dns": "List[str]",
    # Container to take volumes from, a leftover of early engines in the configuration of an image. Without effect.
    "VolumesFrom": "str",
    # Security labels, a leftover of early engines in the configuration that inspecting an exec shows. Without effect.
    "SecurityOpt": "List[str]",
}, total=False)


#: What a new container is made of.
ContainerCreateRequest = TypedDict("ContainerCreateRequest", {
}, total=False)


#: The container that was made.
ContainerCreateResponse = TypedDict("ContainerCreateResponse", {
    # Id of the container, 64 hexadecimal digits.
    "Id": "str",
    # What the engine could not do as asked, one sentence each. Empty when there is nothing to say.
    "Warnings": "List[str]",
}, total=False)


#: Everything that the engine knows of a container.
ContainerInspect = TypedDict("ContainerInspect", {
    # Name of the AppArmor profile of the container's processes. Empty for none.
    "AppArmorProfile": "str",
    # Arguments of the process.
    "Args": "List[str]",
    # Settings that do not depend on the host.
    "Config": "Optional[ContainerConfig]",
    # Time of creation, in UTC as RFC 3339 text with nanoseconds.
    "Created": "str",
    # Name of the storage driver of the container's file system.
    "Driver": "str",
    # Name and version of the execution driver, such as native-0.2.
    "ExecDriver": "str",
    # Ids of the exec instances that run in the container; null when there are none.
    "ExecIDs": "List[str]",
    # Settings that depend on the host.
    "HostConfig": "Optional[HostConfig]",
    # File on the host that the container sees as /etc/hostname. Empty before the first start.
    "HostnamePath": "str",
    # File on the host that the container sees as /etc/hosts. Empty before the first start.
    "HostsPath": "str",
    # File on the host that the json-file log driver writes to. Empty before the first start and for other drivers.
    "LogPath": "str",
    # Id of the container, 64 hexadecimal digits.
    "Id": "str",
    # Id of the container's image.
    "Image": "str",
    # SELinux label of the container's mounts. Empty for none.
    "MountLabel": "str",
    # Name of the container with a slash before it.
    "Name": "str",
    # Addresses and ports.
    "NetworkSettings": "Optional[NetworkSettings]",
    # Program of the process.
    "Path": "str",
    # SELinux label of the container's processes. Empty for none.
    "ProcessLabel": "str",
    # File on the host that the container sees as /etc/resolv.conf. Empty before the first start.
    "ResolvConfPath": "str",
    # How often the restart policy has started the container again since a client started it.
    "RestartCount": "int",
    # State of the container's process.
    "State": "Optional[State]",
    # Volumes and bind mounts, path in the container to path on the host.
    "Volumes": "Dict[str, str]",
    # Whether the mount at a path in the container may be written to.
    "VolumesRW": "Dict[str, bool]",
    # Storage driver of the container's file system and what it says about it.
    "GraphDriver": "Optional[GraphDriverData]",
}, total=False)


#: A container in the list of containers.
ContainerSummary = TypedDict("ContainerSummary", {
    # Id of the container, 64 hexadecimal digits.
    "Id": "str",
    # Names of the container, each with a slash before it; /other/alias for a link from another container.
    "Names": "List[str]",
    # Image of the container as it was named at creation.
    "Image": "str",
    # Command line of the container in one string, its arguments quoted where a shell needs it.
    "Command": "str",
    # Time of creation in seconds since 1970-01-01 UTC.
    "Created": "int",
    # State of the container in words for people, such as Up 2 seconds.
    "Status": "str",
    # Ports that are exposed or published.
    "Ports": "List[Port]",
    # Labels of the container.
    "Labels": "Dict[str, str]",
    # Bytes of files that the container has added or changed. Only there when sizes are asked for.
    "SizeRw": "Optional[int]",
    # Bytes of all files of the container, its image's with it. Only there when sizes are asked for.
    "SizeRootFs": "Optional[int]",
}, total=False)


#: The processes of one container, as a table.
ContainerTopResponse = TypedDict("ContainerTopResponse", {
    # The column headings, in the order in which ps prints them.
    "Titles": "List[str]",
    # One row per process, with as many cells as there are headings. Everything after the last heading stays in the last cell, blanks included.
    "Processes": "List[List[str]]",
}, total=False)


#: How the container's process ended.
ContainerWaitResponse = TypedDict("ContainerWaitResponse", {
    # Exit code of the process; 128 plus the signal's number when a signal ended it.
    "StatusCode": "int",
}, total=False)


#: What to copy out of a container.
CopyConfig = TypedDict("CopyConfig", {
    # Path of the file or directory, counted from the container's root directory; a leading slash makes no difference.
    "Resource": "str",
    # Where the client is going to put the copy. Ignored.
    "HostPath": "str",
}, total=False)


#: A device of the host that the container may use.
DeviceMapping = TypedDict("DeviceMapping", {
    # Path of the device node on the host.
    "PathOnHost": "str",
    # Path of the device node in the container; empty means the same as on the host.
    "PathInContainer": "str",
    # Any of r (read), w (write) and m (make the node); empty means all three.
    "CgroupPermissions": "str",
}, total=False)


#: An object without properties. It stands where a map is used as a set: the keys are the members, the values say nothing.
EmptyObject = Dict[str, "Any"]


#: Failure that ended a stream after its status line had been sent.
ErrorDetail = TypedDict("ErrorDetail", {
    # Exit status of the failed build command or HTTP status of the registry; absent when there is none.
    "code": "int",
    # Text of the failure.
    "message": "str",
}, total=False)


#: One thing that happened to a container or an image.
Event = TypedDict("Event", {
    # What happened, one of the names listed at the operation. exec_create and exec_start are followed by a colon, a blank and the command line.
    "status": "str",
    # The container's id, or the image's reference or id.
    "id": "str",
    # The image of the container, in the words of its creator; absent in events of images.
    "from": "str",
    # When it happened, seconds since 1970-01-01 UTC.
    "time": "int",
    # The container that ended, with the attribute exitCode; in the event die only.
    "Actor": "Optional[EventActor]",
}, total=False)


#: What an event is about.
EventActor = TypedDict("EventActor", {
    # Id of the container.
    "ID": "str",
    # Further facts by name.
    "Attributes": "Dict[str, str]",
}, total=False)


#: A command to run in a container.
ExecConfig = TypedDict("ExecConfig", {
    # Connect the command's standard input when it is started.
    "AttachStdin": "bool",
    # Connect the command's standard output when it is started.
    "AttachStdout": "bool",
    # Connect the command's standard error when it is started.
    "AttachStderr": "bool",
    # Give the command a pseudo-terminal. Its output then is one unframed stream.
    "Tty": "bool",
    # Program and arguments, or one string that is the program with no arguments.
    "Cmd": "CommandLine",
    # The client means to start the command without connecting to it. Ignored here; what counts is Detach of the start.
    "Detach": "bool",
    # The container's id or name once more. Ignored; the one in the path counts.
    "Container": "str",
    # User, and optionally group, to run the command as, in one of the forms user, user:group, uid and uid:gid. Empty means the container's.
    "User": "str",
}, total=False)


#: The container of an exec instance, in full.
ExecContainer = TypedDict("ExecContainer", {
    # The container's state.
    "State": "Optional[State]",
    # The container's id, 64 hexadecimal digits.
    "ID": "str",
    # When the container was created, RFC 3339 with up to nine digits of a second.
    "Created": "str",
    # The program of the container's first process.
    "Path": "str",
    # The arguments of the container's first process.
    "Args": "List[str]",
    # The container's configuration.
    "Config": "Optional[ContainerConfig]",
    # Id of the image that the container was made from.
    "Image": "str",
    # The container's addresses and ports.
    "NetworkSettings": "Optional[NetworkSettings]",
    # File on the host that is the container's /etc/resolv.conf.
    "ResolvConfPath": "str",
    # File on the host that is the container's /etc/hostname.
    "HostnamePath": "str",
    # File on the host that is the container's /etc/hosts.
    "HostsPath": "str",
    # File on the host with the container's log; empty if its logging driver keeps none.
    "LogPath": "str",
    # The container's name, with a slash before it.
    "Name": "str",
    # The storage driver of the container's filesystem.
    "Driver": "str",
    # What runs the container's processes, name and version.
    "ExecDriver": "str",
    # SELinux label of the container's mounts.
    "MountLabel": "str",
    # SELinux label of the container's processes.
    "ProcessLabel": "str",
    # AppArmor profile of the container's processes.
    "AppArmorProfile": "str",
    # How often the restart policy has started the container again.
    "RestartCount": "int",
    # The container's volumes, path in the container to path on the host.
    "Volumes": "Dict[str, str]",
    # Whether each volume, by its path in the container, is writable.
    "VolumesRW": "Dict[str, bool]",
}, total=False)


#: The new exec instance.
ExecCreateResponse = TypedDict("ExecCreateResponse", {
    # Id of the exec instance, 64 hexadecimal digits; it is what start, resize and inspect take.
    "Id": "str",
    # What the engine could not do exactly as asked; empty if there is nothing to say.
    "Warnings": "List[str]",
}, total=False)


#: An exec instance.
ExecInspect = TypedDict("ExecInspect", {
    # Id of the exec instance, 64 hexadecimal digits.
    "ID": "str",
    # True between the start of the command and its end.
    "Running": "bool",
    # Exit status of the command; null until it has ended.
    "ExitCode": "Optional[int]",
    # The command.
    "ProcessConfig": "ExecProcessConfig",
    # The command's standard input is connected.
    "OpenStdin": "bool",
    # The command's standard error is connected.
    "OpenStderr": "bool",
    # The command's standard output is connected.
    "OpenStdout": "bool",
    # The container in which the command runs, in full.
    "Container": "Optional[ExecContainer]",
    # Id of the container in which the command runs.
    "ContainerID": "str",
}, total=False)


#: The command of an exec instance.
ExecProcessConfig = TypedDict("ExecProcessConfig", {
    # The command has all capabilities that the engine can give.
    "privileged": "bool",
    # User, and optionally group, of the command as user[:group], names or numbers; empty means the container's.
    "user": "str",
    # The command has a pseudo-terminal.
    "tty": "bool",
    # The program.
    "entrypoint": "str",
    # The program's arguments, without its own name.
    "arguments": "List[str]",
}, total=False)


#: How to start an exec instance.
ExecStartConfig = TypedDict("ExecStartConfig", {
    # Start the command and answer at once, without connecting its streams.
    "Detach": "bool",
    # Tells whether the client expects a pseudo-terminal's unframed stream; to be given as at the creation of the instance.
    "Tty": "bool",
}, total=False)


#: The storage driver of a file system and what it says about it.
GraphDriverData = TypedDict("GraphDriverData", {
    # Name of the storage driver.
    "Name": "str",
    # Facts of the driver, for example the directories of an overlay.
    "Data": "Dict[str, str]",
}, total=False)


#: The part of a container's settings that depends on the host it runs on.
HostConfig = TypedDict("HostConfig", {
    # Directories and files of the host to mount, each host-path:container-path, with :ro after it for a read-only mount. Both paths are absolute.
    "Binds": "List[str]",
    # Containers to link to, each name:alias.
    "Links": "List[str]",
    # Settings for the lxc execution driver.
    "LxcConf": "LxcConf",
    # Memory limit in bytes. 0 sets no limit.
    "Memory": "int",
    # Limit in bytes of memory and swap together, larger than Memory and only allowed beside it. -1 is unlimited, 0 is twice Memory.
    "MemorySwap": "int",
    # Weight of the container's CPU time relative to other containers. 0 is the kernel's default, 1024.
    "CpuShares": "int",
    # CPUs that the container may run on, for example 0-2,7. Empty is all of them.
    "CpusetCpus": "str",
    # PID namespace of the container. Empty is one of its own, host the host's, container:<name or id> that of another container.
    "PidMode": "str",
    # Ports of the container to publish on the host.
    "PortBindings": "Optional[PortMap]",
    # Whether every exposed port is published on a free port of the host. The ports are chosen at each start from the kernel's ephemeral range (net.ipv4.ip_local_port_range) and given back when the container stops.
    "PublishAllPorts": "bool",
    # Whether the container has full access to the host.
    "Privileged": "bool",
    # Whether the container's root file system is mounted read-only.
    "ReadonlyRootfs": "bool",
    # Addresses of the name servers that the container uses. Empty means the host's.
    "Dns": "List[str]",
    # Search domains for host names.
    "DnsSearch": "List[str]",
    # Lines to add to the container's /etc/hosts, each hostname:address.
    "ExtraHosts": "List[str]",
    # Containers whose volumes to mount too, each name, with :ro or :rw after it if wanted.
    "VolumesFrom": "List[str]",
    # Kernel capabilities to add to the default set, without CAP_; ALL adds every one.
    "CapAdd": "StringSlice",
    # Kernel capabilities to drop from the default set, without CAP_; ALL drops every one.
    "CapDrop": "StringSlice",
    # What to do when the container's process ends. The default is not to restart it.
    "RestartPolicy": "RestartPolicy",
    # Network of the container; bridge, host, none or container:<name or id> to share another container's. Empty and default are bridge.
    "NetworkMode": "str",
    # Devices of the host that the container may use.
    "Devices": "List[DeviceMapping]",
    # Resource limits to set for the container's processes.
    "Ulimits": "List[Ulimit]",
    # Labels for security systems such as SELinux, for example label:disable.
    "SecurityOpt": "List[str]",
    # Where the output of the container's process is kept.
    "LogConfig": "LogConfig",
    # Cgroup under which the container's own is made. A path that is not absolute starts at the cgroup of the daemon's init process. Missing cgroups are made.
    "CgroupParent": "str",
    # File in which the client has written the container's id. The engine only keeps the name.
    "ContainerIDFile": "str",
    # IPC namespace of the container. Empty is one of its own, host the host's, container:<name or id> that of another container.
    "IpcMode": "str",
    # Length of the period that CpuQuota is counted in, in microseconds. 0 is the kernel's default, 100000.
    "CpuPeriod": "int",
    # CPU time that the container gets in each period, in microseconds. 0 sets no limit.
    "CpuQuota": "int",
    # Memory nodes that the container may use, for example 0-3 or 0,1. Only of use on NUMA machines. Empty is all.
    "CpusetMems": "str",
    # Weight of the container's block IO relative to other containers, 10 to 1000. 0 leaves the kernel's default.
    "BlkioWeight": "int",
    # Whether the kernel does not end processes of the container that is out of memory but makes them wait. null counts as false.
    "OomKillDisable": "Optional[bool]",
    # UTS namespace of the container. Empty is one of its own, host the host's.
    "UTSMode": "str",
}, total=False)


#: One effect of removing an image. Exactly one of the fields is set.
ImageDeleteItem = TypedDict("ImageDeleteItem", {
    # Name that was taken from the image.
    "Untagged": "str",
    # Id of an image or layer that was deleted.
    "Deleted": "str",
}, total=False)


#: One step of an image's history, newest first.
ImageHistoryItem = TypedDict("ImageHistoryItem", {
    # Id of the image that this step produced, or `<missing>` where that image is not stored.
    "Id": "str",
    # Time of the step, Unix time in seconds.
    "Created": "int",
    # Command line of the step; empty for an import.
    "CreatedBy": "str",
    # Names that point to this step's image; null when there is none.
    "Tags": "List[str]",
    # Bytes that the step added.
    "Size": "int",
    # Message given at commit or import.
    "Comment": "str",
}, total=False)


#: Everything known about one image.
ImageInspect = TypedDict("ImageInspect", {
    # Image id.
    "Id": "str",
    # Id of the parent image; empty when there is none.
    "Parent": "str",
    # Message given at commit or import; empty when none was given.
    "Comment": "str",
    # Creation time, RFC 3339 with nanoseconds.
    "Created": "str",
    # Id of the container the image was committed from; empty for an imported image.
    "Container": "str",
    # Configuration of the container that the image was committed from.
    "ContainerConfig": "Optional[ContainerConfig]",
    # Version of the engine that made the image.
    "DockerVersion": "str",
    # Author given at build or commit.
    "Author": "str",
    # What a container of this image starts with.
    "Config": "Optional[ContainerConfig]",
    # Processor architecture in Go's spelling, for example `amd64`.
    "Architecture": "str",
    # Operating system in Go's spelling, for example `linux`.
    "Os": "str",
    # Bytes that the image adds to its parent; the whole image where no parent is known.
    "Size": "int",
    # Bytes of all layers of the image, parents included.
    "VirtualSize": "int",
}, total=False)


#: One image as the image list shows it. An image with several names is one item.
ImageSummary = TypedDict("ImageSummary", {
    # Image id, the SHA-256 of the image's configuration. Engines that speak API 1.22 and later prefix it with `sha256:`.
    "Id": "str",
    # Id of the image this one was built or committed from; empty for a base image and after a pull.
    "ParentId": "str",
    # All `repository:tag` names that point to the image. Null, or the one entry `<none>:<none>`, for a dangling image.
    "RepoTags": "List[str]",
    # All `repository@algorithm:hex` references known from pulls and pushes; null when there is none.
    "RepoDigests": "List[str]",
    # Creation time, Unix time in seconds.
    "Created": "int",
    # Bytes that the image adds to its parent; the whole image where no parent is known.
    "Size": "int",
    # Bytes of all layers of the image, parents included.
    "VirtualSize": "int",
    # Labels of the image's configuration; null when it has none.
    "Labels": "Dict[str, str]",
}, total=False)


#: Settings of one registry.
IndexConfig = TypedDict("IndexConfig", {
    # Host name, with the port where there is one.
    "Name": "str",
    # Addresses that are tried before the registry itself; null when there is none.
    "Mirrors": "List[str]",
    # Whether only HTTPS with a valid certificate is accepted.
    "Secure": "bool",
    # Whether this is the public index.
    "Official": "bool",
}, total=False)


#: State and abilities of the engine and its host.
Info = TypedDict("Info", {
    # Identity of the engine, twelve groups of four base32 characters; the same after a restart.
    "ID": "str",
    # Number of containers, stopped ones included.
    "Containers": "int",
    # Number of images, intermediate ones included.
    "Images": "int",
    # Storage driver that image layers and containers live on.
    "Driver": "str",
    # Facts about the storage driver, each a pair of name and value.
    "DriverStatus": "List[List[str]]",
    # Whether the kernel can limit a container's memory.
    "MemoryLimit": "bool",
    # Whether the kernel can limit a container's swap.
    "SwapLimit": "bool",
    # Whether the host forwards IPv4 packets.
    "IPv4Forwarding": "bool",
    # Whether bridged IPv4 packets pass iptables.
    "BridgeNfIptables": "bool",
    # Whether bridged IPv6 packets pass ip6tables.
    "BridgeNfIp6tables": "bool",
    # Whether the engine logs debug messages.
    "Debug": "bool",
    # Number of file descriptors that the engine has open.
    "NFd": "int",
    # Number of goroutines in the engine.
    "NGoroutines": "int",
    # The host's clock, RFC 3339 with nanoseconds.
    "SystemTime": "str",
    # Name and version of what runs containers.
    "ExecutionDriver": "str",
    # Log driver of containers that name none.
    "LoggingDriver": "str",
    # Number of clients that follow the event stream.
    "NEventsListener": "int",
    # Release of the running kernel.
    "KernelVersion": "str",
    # Name of the host's operating system as its os-release file gives it.
    "OperatingSystem": "str",
    # Address of the index that names without a registry refer to.
    "IndexServerAddress": "str",
    # How registries are treated.
    "RegistryConfig": "Optional[RegistryConfig]",
    # Path of the program that is the first process of a container until the command takes over.
    "InitPath": "str",
    # SHA-1 of that program, hexadecimal; empty when it is not checked.
    "InitSha1": "str",
    # Number of processors that the engine may use.
    "NCPU": "int",
    # Memory of the host in bytes.
    "MemTotal": "int",
    # Directory that the engine keeps its data in.
    "DockerRootDir": "str",
    # Proxy for plain HTTP from the engine's environment; empty when none is set.
    "HttpProxy": "str",
    # Proxy for HTTPS from the engine's environment; empty when none is set.
    "HttpsProxy": "str",
    # Hosts that are reached without a proxy, separated by commas.
    "NoProxy": "str",
    # Host name.
    "Name": "str",
    # Labels that the engine was started with, each `key=value`; null when there is none.
    "Labels": "List[str]",
    # Whether the kernel lets the scheduler's period be set for a container.
    "CpuCfsPeriod": "bool",
    # Whether the kernel can limit a container's processor time in each period.
    "CpuCfsQuota": "bool",
    # Whether the kernel can keep the OOM killer away from a container.
    "OomKillDisable": "bool",
    # Whether the engine was built with experimental features.
    "ExperimentalBuild": "bool",
}, total=False)


#: One line of the progress stream of a build, pull, push, import or load. Each line is a JSON object of its own, ended by CR LF. Only the fields that apply are present. A line with `error` is the last one.
JSONMessage = TypedDict("JSONMessage", {
    # Text to print as it is; output of a build or load.
    "stream": "str",
    # What is being done at the moment, for example `Pulling fs layer`.
    "status": "str",
    # The progress in numbers.
    "progressDetail": "Optional[ProgressDetail]",
    # The progress as a text to print; the numbers are in `progressDetail`.
    "progress": "str",
    # Layer or tag that the line is about. Later lines with the same id replace the earlier one on a terminal.
    "id": "str",
    # The failure that ended the work.
    "errorDetail": "Optional[ErrorDetail]",
    # Text of the failure that ended the work; the same as `errorDetail.message`.
    "error": "str",
}, total=False)


#: Ports in the notation of early engines, by protocol and then by port of the container. Always null.
LegacyPortMapping = Dict[str, "Dict[str, str]"]


#: Where the output of the container's process is kept.
LogConfig = TypedDict("LogConfig", {
    # Name of the log driver; json-file, syslog, journald or none. Empty means the daemon's default, json-file.
    "Type": "str",
    # Options of the log driver, for example address for syslog.
    "Config": "Dict[str, str]",
}, total=False)


#: Settings for the lxc execution driver. A request may give an object of keys and values or a list of pairs; answers hold a list of pairs, empty when there are none. No engine of today has an lxc driver: the settings are kept and have no effect.
LxcConf = List["LxcPair"]


#: One setting of the lxc execution driver.
LxcPair = TypedDict("LxcPair", {
    # Name of the setting, such as lxc.utsname.
    "Key": "str",
    # Value of the setting.
    "Value": "str",
}, total=False)


#: Addresses and ports of a container. All are empty while it is not running.
NetworkSettings = TypedDict("NetworkSettings", {
    # Name of the bridge that the container is attached to. Today's engines leave it empty.
    "Bridge": "str",
    # IPv4 address of the default gateway.
    "Gateway": "str",
    # IPv4 address of the container on the default network.
    "IPAddress": "str",
    # Length of the IPv4 network's prefix, in bits.
    "IPPrefixLen": "int",
    # MAC address of the container's interface on the default network.
    "MacAddress": "str",
    # Ports in the notation of early engines. Always null.
    "PortMapping": "Optional[LegacyPortMapping]",
    # Ports that are exposed or published, with the host's ports in use.
    "Ports": "Optional[PortMap]",
}, total=False)


#: A port of a container and where the host publishes it.
Port = TypedDict("Port", {
    # Address of the host that is listened on. Left out for a port that is not published.
    "IP": "str",
    # Port number in the container.
    "PrivatePort": "int",
    # Port number on the host. Left out for a port that is not published.
    "PublicPort": "int",
    # Protocol, tcp or udp.
    "Type": "str",
}, total=False)


#: An address and port of the host at which a container's port is published.
PortBinding = TypedDict("PortBinding", {
    # Address of the host to listen on. Empty means every address; answers for a running container then say 0.0.0.0.
    "HostIp": "str",
    # Port of the host, as a decimal string. Empty or 0 lets the engine choose a free port.
    "HostPort": "str",
}, total=False)


#: Ports of a container and where the host publishes them. A key is port/protocol, for example 22/tcp; the value is null for a port that is exposed and not published.
PortMap = Dict[str, "List[PortBinding]"]


#: Progress in numbers; an empty object where they are not known.
ProgressDetail = TypedDict("ProgressDetail", {
    # Units done so far, usually bytes.
    "current": "int",
    # Units in all, usually bytes; absent when not known.
    "total": "int",
}, total=False)


#: How the engine treats registries.
RegistryConfig = TypedDict("RegistryConfig", {
    # Networks whose registries are trusted without a valid certificate, in CIDR form.
    "InsecureRegistryCIDRs": "List[str]",
    # Registries that have settings of their own, by host name.
    "IndexConfigs": "Dict[str, IndexConfig]",
    # Mirrors of the public index; null when there is none.
    "Mirrors": "List[str]",
}, total=False)


#: What to do when the container's process ends. Waits of 100 ms, doubled each time, stand between two restarts.
RestartPolicy = TypedDict("RestartPolicy", {
    # always restarts whatever the exit code, on-failure only when it is not zero, the empty string or no never. The default is never.
    "Name": "str",
    # Number of restarts after which on-failure gives up; 0 sets no bound. Other policies ignore it.
    "MaximumRetryCount": "int",
}, total=False)


#: One repository found in a registry's index.
SearchResult = TypedDict("SearchResult", {
    # Number of stars that users gave the repository.
    "star_count": "int",
    # Whether the index marks the repository as official.
    "is_official": "bool",
    # Name to pull the repository by.
    "name": "str",
    # Whether the repository is built automatically from a source repository.
    "is_automated": "bool",
    # Short description that the owner gave.
    "description": "str",
    # The same as `is_automated`, by its older name.
    "is_trusted": "bool",
}, total=False)


#: State of a container's process.
State = TypedDict("State", {
    # Why the last start failed. Empty when it did not.
    "Error": "str",
    # Exit code of the process, 0 while it runs; 128 plus the signal's number when a signal ended it.
    "ExitCode": "int",
    # Time at which the process last ended, in UTC as RFC 3339 text with nanoseconds. 0001-01-01T00:00:00Z means never.
    "FinishedAt": "str",
    # Whether the kernel ended the process because the container was out of memory.
    "OOMKilled": "bool",
    # Whether the container is paused. It then counts as running, too.
    "Paused": "bool",
    # Process id on the host, 0 when the container is not running.
    "Pid": "int",
    # Whether the container waits to be started again by its restart policy.
    "Restarting": "bool",
    # Whether the container is running.
    "Running": "bool",
    # Time at which the process was last started, in UTC as RFC 3339 text with nanoseconds. 0001-01-01T00:00:00Z means never.
    "StartedAt": "str",
}, total=False)


#: One sample of a container's resource usage.
Stats = TypedDict("Stats", {
    # Moment of the sample, RFC 3339 with up to nine digits of a second.
    "read": "str",
    # Network traffic, the sum over the interfaces of the container.
    "network": "StatsNetwork",
    # Memory.
    "memory_stats": "StatsMemory",
    # Block devices.
    "blkio_stats": "StatsBlkio",
    # Processor time at the moment of the sample.
    "cpu_stats": "StatsCPU",
    # Processor time at the previous sample; together with cpu_stats it gives the load in between. It is read anew for this sample and need not equal the cpu_stats that the previous one showed.
    "precpu_stats": "StatsCPU",
}, total=False)


#: Block device traffic of the container, per device. A list is empty where the kernel keeps no such counter.
StatsBlkio = TypedDict("StatsBlkio", {
    # Bytes moved, per device and direction.
    "io_service_bytes_recursive": "List[StatsBlkioEntry]",
    # Requests done, per device and direction.
    "io_serviced_recursive": "List[StatsBlkioEntry]",
    # Requests waiting, per device and direction.
    "io_queue_recursive": "List[StatsBlkioEntry]",
    # Nanoseconds between handing a request to the device and its completion, added up.
    "io_service_time_recursive": "List[StatsBlkioEntry]",
    # Nanoseconds that requests waited in the scheduler's queues, added up.
    "io_wait_time_recursive": "List[StatsBlkioEntry]",
    # Requests that were merged into others.
    "io_merged_recursive": "List[StatsBlkioEntry]",
    # Milliseconds for which a device worked for the container alone.
    "io_time_recursive": "List[StatsBlkioEntry]",
    # Sectors moved, per device.
    "sectors_recursive": "List[StatsBlkioEntry]",
}, total=False)


#: One counter of one block device.
StatsBlkioEntry = TypedDict("StatsBlkioEntry", {
    # Major number of the device.
    "major": "int",
    # Minor number of the device.
    "minor": "int",
    # What is counted, one of Read, Write, Sync, Async, Discard and Total; empty where the kernel does not tell them apart.
    "op": "str",
    # The counter; its unit is that of the list.
    "value": "int",
}, total=False)


#: Processor time of the container and of the whole host at one moment.
StatsCPU = TypedDict("StatsCPU", {
    # Processor time of the container's processes.
    "cpu_usage": "StatsCPUUsage",
    # Processor time of the host since it was booted, all processors and all states (idle too) added up, in nanoseconds. The container's share of the host between two samples is the growth of cpu_usage.total_usage divided by the growth of this.
    "system_cpu_usage": "int",
    # Effects of a CPU quota.
    "throttling_data": "StatsThrottling",
}, total=False)


#: Processor time that the container's processes have used up, in nanoseconds.
StatsCPUUsage = TypedDict("StatsCPUUsage", {
    # On all processors together, nanoseconds.
    "total_usage": "int",
    # On each processor, nanoseconds; item 0 is the first processor.
    "percpu_usage": "List[int]",
    # The part spent in the kernel, nanoseconds (the kernel counts it in clock ticks, so it is coarser than the total).
    "usage_in_kernelmode": "int",
    # The part spent outside the kernel, nanoseconds (in clock ticks as well).
    "usage_in_usermode": "int",
}, total=False)


#: The container's memory, in bytes.
StatsMemory = TypedDict("StatsMemory", {
    # Memory charged to the container now, page cache included, bytes.
    "usage": "int",
    # The highest usage so far, bytes.
    "max_usage": "int",
    # The kernel's break-down.
    "stats": "StatsMemoryDetail",
    # How often the container hit its limit.
    "failcnt": "int",
    # The container's limit, or the memory of the host if that is smaller or no limit is set, bytes.
    "limit": "int",
}, total=False)


#: The kernel's own break-down of the memory (memory.stat of the memory controller). Sizes are bytes, pg* are numbers of events. A name with the prefix total_ counts the container and the control groups below it, the same name without it the container's own group alone.
StatsMemoryDetail = TypedDict("StatsMemoryDetail", {
    # Page cache.
    "cache": "int",
    # Anonymous memory, transparent huge pages included.
    "rss": "int",
    # The part of rss in transparent huge pages.
    "rss_huge": "int",
    # Mapped files, shared memory and tmpfs included.
    "mapped_file": "int",
    # Memory that is being written to disk.
    "writeback": "int",
    # Pages charged to the group so far.
    "pgpgin": "int",
    # Pages given back so far.
    "pgpgout": "int",
    # Page faults.
    "pgfault": "int",
    # Page faults that had to wait for a disk.
    "pgmajfault": "int",
    # Anonymous memory that has not been used lately.
    "inactive_anon": "int",
    # Anonymous memory in use.
    "active_anon": "int",
    # Page cache that has not been used lately.
    "inactive_file": "int",
    # Page cache in use.
    "active_file": "int",
    # Memory that cannot be reclaimed (locked, for one).
    "unevictable": "int",
    # The limit that holds for the group, its parents' limits considered.
    "hierarchical_memory_limit": "int",
    # cache of the whole subtree.
    "total_cache": "int",
    # rss of the whole subtree.
    "total_rss": "int",
    # rss_huge of the whole subtree.
    "total_rss_huge": "int",
    # mapped_file of the whole subtree.
    "total_mapped_file": "int",
    # writeback of the whole subtree.
    "total_writeback": "int",
    # pgpgin of the whole subtree.
    "total_pgpgin": "int",
    # pgpgout of the whole subtree.
    "total_pgpgout": "int",
    # pgfault of the whole subtree.
    "total_pgfault": "int",
    # pgmajfault of the whole subtree.
    "total_pgmajfault": "int",
    # inactive_anon of the whole subtree.
    "total_inactive_anon": "int",
    # active_anon of the whole subtree.
    "total_active_anon": "int",
    # inactive_file of the whole subtree.
    "total_inactive_file": "int",
    # active_file of the whole subtree.
    "total_active_file": "int",
    # unevictable of the whole subtree.
    "total_unevictable": "int",
    # Like hierarchical_memory_limit for memory and swap together.
    "hierarchical_memsw_limit": "int",
    # Swap space in use.
    "swap": "int",
    # swap of the whole subtree.
    "total_swap": "int",
    # Page cache that still has to be written to disk.
    "dirty": "int",
    # dirty of the whole subtree.
    "total_dirty": "int",
    # Shared memory and tmpfs.
    "shmem": "int",
    # shmem of the whole subtree.
    "total_shmem": "int",
}, total=False)


#: Traffic counters since the container was started, as the container sees them (rx is what it received). In a sample that has one such object for the whole container, the sum over its interfaces.
StatsNetwork = TypedDict("StatsNetwork", {
    # Bytes received.
    "rx_bytes": "int",
    # Packets received.
    "rx_packets": "int",
    # Packets that arrived damaged.
    "rx_errors": "int",
    # Arriving packets that were thrown away.
    "rx_dropped": "int",
    # Bytes sent.
    "tx_bytes": "int",
    # Packets sent.
    "tx_packets": "int",
    # Packets that could not be sent.
    "tx_errors": "int",
    # Packets that were thrown away instead of being sent.
    "tx_dropped": "int",
}, total=False)


#: How often the container was held back by a CPU quota. All zero without a quota.
StatsThrottling = TypedDict("StatsThrottling", {
    # Quota periods that have passed.
    "periods": "int",
    # Periods in which the quota was used up.
    "throttled_periods": "int",
    # Time for which processes were held back, nanoseconds.
    "throttled_time": "int",
}, total=False)


#: A list of strings. A request may give a single string for a list of one. Answers always hold a list or null.
StringSlice = List["str"]


#: A resource limit of the container's processes (setrlimit).
Ulimit = TypedDict("Ulimit", {
    # Name of the limit in lower case and without RLIMIT_, for example nofile.
    "Name": "str",
    # Soft limit, in the unit of that resource; -1 is unlimited.
    "Soft": "int",
    # Hard limit, in the unit of that resource; -1 is unlimited.
    "Hard": "int",
}, total=False)


#: What the engine is and what it runs on.
Version = TypedDict("Version", {
    # Version of the engine.
    "Version": "str",
    # Newest version of the API that the engine speaks.
    "ApiVersion": "str",
    # Source revision that the engine was built from.
    "GitCommit": "str",
    # Version of the Go compiler that built it.
    "GoVersion": "str",
    # Operating system in Go's spelling.
    "Os": "str",
    # Processor architecture in Go's spelling.
    "Arch": "str",
    # Release of the running kernel.
    "KernelVersion": "str",
    # When the engine was built, in the form of `date -u`, for example `Sat Nov 21 00:03:47 UTC 2026`.
    "BuildTime": "str",
}, total=False)


class Client(Base):
    """Every operation of version 1.19, a method each; what an operation does and answers is in the document."""

    base_path = "/v1.19"

    def container_attach(
        self,
        name: str,
        *,
        logs: Optional[bool] = None,
        stderr: Optional[bool] = None,
        stdin: Optional[bool] = None,
        stdout: Optional[bool] = None,
        stream: Optional[bool] = None,
    ) -> Hijacked:
        """Connect to a container's standard streams."""
        return self._hijack(
            "POST",
            "/containers/{name}/attach".replace("{name}", name),
            {
                "logs": logs,
                "stderr": stderr,
                "stdin": stdin,
                "stdout": stdout,
                "stream": stream,
            },
            {
            },
            None,
        )

    def container_attach_websocket(
        self,
        name: str,
        *,
        logs: Optional[bool] = None,
        stderr: Optional[bool] = None,
        stdin: Optional[bool] = None,
        stdout: Optional[bool] = None,
        stream: Optional[bool] = None,
    ) -> Hijacked:
        """Connect to a container's standard streams through a WebSocket."""
        return self._hijack(
            "GET",
            "/containers/{name}/attach/ws".replace("{name}", name),
            {
                "logs": logs,
                "stderr": stderr,
                "stdin": stdin,
                "stdout": stdout,
                "stream": stream,
            },
            {
            },
            None,
        )

    def container_changes(
        self,
        name: str,
    ) -> List[ContainerChange]:
        """List what differs between a container and its image."""
        return self._call(
            "GET",
            "/containers/{name}/changes".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def container_copy(
        self,
        name: str,
        resource: CopyConfig,
    ) -> Stream:
        """Copy a file or directory out of a container."""
        return self._stream(
            "POST",
            "/containers/{name}/copy".replace("{name}", name),
            {
            },
            {
            },
            resource,
        )

    def container_create(
        self,
        config: ContainerCreateRequest,
        *,
        name: Optional[str] = None,
    ) -> ContainerCreateResponse:
        """Create a container."""
        return self._call(
            "POST",
            "/containers/create",
            {
                "name": name,
            },
            {
            },
            config,
        )

    def container_delete(
        self,
        name: str,
        *,
        force: Optional[bool] = None,
        link: Optional[bool] = None,
        v: Optional[bool] = None,
    ) -> None:
        """Remove a container."""
        return self._call(
            "DELETE",
            "/containers/{name}".replace("{name}", name),
            {
                "force": force,
                "link": link,
                "v": v,
            },
            {
            },
            None,
        )

    def container_exec(
        self,
        name: str,
        exec_config: ExecConfig,
    ) -> ExecCreateResponse:
        """Prepare a command in a container."""
        return self._call(
            "POST",
            "/containers/{name}/exec".replace("{name}", name),
            {
            },
            {
            },
            exec_config,
        )

    def container_export(
        self,
        name: str,
    ) -> Stream:
        """Download a container's filesystem."""
        return self._stream(
            "GET",
            "/containers/{name}/export".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def container_inspect(
        self,
        name: str,
    ) -> ContainerInspect:
        """Inspect a container."""
        return self._call(
            "GET",
            "/containers/{name}/json".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def container_kill(
        self,
        name: str,
        *,
        signal: Optional[str] = None,
    ) -> None:
        """Send a signal to a container."""
        return self._call(
            "POST",
            "/containers/{name}/kill".replace("{name}", name),
            {
                "signal": signal,
            },
            {
            },
            None,
        )

    def container_list(
        self,
        *,
        all: Optional[bool] = None,
        before: Optional[str] = None,
        filters: Optional[str] = None,
        limit: Optional[int] = None,
        since: Optional[str] = None,
        size: Optional[bool] = None,
    ) -> List[ContainerSummary]:
        """List containers."""
        return self._call(
            "GET",
            "/containers/json",
            {
                "all": all,
                "before": before,
                "filters": filters,
                "limit": limit,
                "since": since,
                "size": size,
            },
            {
            },
            None,
        )

    def container_logs(
        self,
        name: str,
        *,
        follow: Optional[bool] = None,
        since: Optional[str] = None,
        stderr: Optional[bool] = None,
        stdout: Optional[bool] = None,
        tail: Optional[str] = None,
        timestamps: Optional[bool] = None,
    ) -> Stream:
        """Read what a container has written."""
        return self._stream(
            "GET",
            "/containers/{name}/logs".replace("{name}", name),
            {
                "follow": follow,
                "since": since,
                "stderr": stderr,
                "stdout": stdout,
                "tail": tail,
                "timestamps": timestamps,
            },
            {
            },
            None,
        )

    def container_pause(
        self,
        name: str,
    ) -> None:
        """Pause a container."""
        return self._call(
            "POST",
            "/containers/{name}/pause".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def container_rename(
        self,
        id: str,
        *,
        name: Optional[str] = None,
    ) -> None:
        """Rename a container."""
        return self._call(
            "POST",
            "/containers/{id}/rename".replace("{id}", id),
            {
                "name": name,
            },
            {
            },
            None,
        )

    def container_resize(
        self,
        name: str,
        *,
        h: Optional[int] = None,
        w: Optional[int] = None,
    ) -> None:
        """Set the size of a container's terminal."""
        return self._call(
            "POST",
            "/containers/{name}/resize".replace("{name}", name),
            {
                "h": h,
                "w": w,
            },
            {
            },
            None,
        )

    def container_restart(
        self,
        name: str,
        *,
        t: Optional[int] = None,
    ) -> None:
        """Restart a container."""
        return self._call(
            "POST",
            "/containers/{name}/restart".replace("{name}", name),
            {
                "t": t,
            },
            {
            },
            None,
        )

    def container_start(
        self,
        name: str,
        host_config: Optional[HostConfig] = None,
    ) -> None:
        """Start a container."""
        return self._call(
            "POST",
            "/containers/{name}/start".replace("{name}", name),
            {
            },
            {
            },
            host_config,
        )

    def container_stats(
        self,
        name: str,
        *,
        stream: Optional[bool] = None,
    ) -> Stream:
        """Watch a container's resource usage."""
        return self._stream(
            "GET",
            "/containers/{name}/stats".replace("{name}", name),
            {
                "stream": stream,
            },
            {
            },
            None,
        )

    def container_stop(
        self,
        name: str,
        *,
        t: Optional[int] = None,
    ) -> None:
        """Stop a container."""
        return self._call(
            "POST",
            "/containers/{name}/stop".replace("{name}", name),
            {
                "t": t,
            },
            {
            },
            None,
        )

    def container_top(
        self,
        name: str,
        *,
        ps_args: Optional[str] = None,
    ) -> ContainerTopResponse:
        """List the processes of a container."""
        return self._call(
            "GET",
            "/containers/{name}/top".replace("{name}", name),
            {
                "ps_args": ps_args,
            },
            {
            },
            None,
        )

    def container_unpause(
        self,
        name: str,
    ) -> None:
        """Unpause a container."""
        return self._call(
            "POST",
            "/containers/{name}/unpause".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def container_wait(
        self,
        name: str,
    ) -> ContainerWaitResponse:
        """Wait for a container."""
        return self._call(
            "POST",
            "/containers/{name}/wait".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def exec_inspect(
        self,
        id: str,
    ) -> ExecInspect:
        """Show an exec instance."""
        return self._call(
            "GET",
            "/exec/{id}/json".replace("{id}", id),
            {
            },
            {
            },
            None,
        )

    def exec_resize(
        self,
        id: str,
        *,
        h: Optional[int] = None,
        w: Optional[int] = None,
    ) -> None:
        """Set the size of a command's terminal."""
        return self._call(
            "POST",
            "/exec/{id}/resize".replace("{id}", id),
            {
                "h": h,
                "w": w,
            },
            {
            },
            None,
        )

    def exec_start(
        self,
        id: str,
        exec_start_config: ExecStartConfig,
    ) -> Hijacked:
        """Run a prepared command."""
        return self._hijack(
            "POST",
            "/exec/{id}/start".replace("{id}", id),
            {
            },
            {
            },
            exec_start_config,
        )

    def image_build(
        self,
        input_stream: Optional[Body] = None,
        *,
        cgroupparent: Optional[str] = None,
        cpuperiod: Optional[int] = None,
        cpuquota: Optional[int] = None,
        cpusetcpus: Optional[str] = None,
        cpusetmems: Optional[str] = None,
        cpushares: Optional[int] = None,
        dockerfile: Optional[str] = None,
        forcerm: Optional[bool] = None,
        memory: Optional[int] = None,
        memswap: Optional[int] = None,
        nocache: Optional[bool] = None,
        pull: Optional[bool] = None,
        q: Optional[bool] = None,
        remote: Optional[str] = None,
        rm: Optional[bool] = None,
        t: Optional[List[str]] = None,
        ulimits: Optional[str] = None,
        content_type: Optional[str] = None,
        x_registry_config: Optional[str] = None,
    ) -> Stream:
        """Build an image."""
        return self._stream(
            "POST",
            "/build",
            {
                "cgroupparent": cgroupparent,
                "cpuperiod": cpuperiod,
                "cpuquota": cpuquota,
                "cpusetcpus": cpusetcpus,
                "cpusetmems": cpusetmems,
                "cpushares": cpushares,
                "dockerfile": dockerfile,
                "forcerm": forcerm,
                "memory": memory,
                "memswap": memswap,
                "nocache": nocache,
                "pull": pull,
                "q": q,
                "remote": remote,
                "rm": rm,
                "t": t,
                "ulimits": ulimits,
            },
            {
                "Content-type": content_type,
                "X-Registry-Config": x_registry_config,
            },
            input_stream,
        )

    def image_commit(
        self,
        config: Optional[ContainerConfig] = None,
        *,
        author: Optional[str] = None,
        changes: Optional[List[str]] = None,
        comment: Optional[str] = None,
        container: Optional[str] = None,
        pause: Optional[bool] = None,
        repo: Optional[str] = None,
        tag: Optional[str] = None,
    ) -> CommitResponse:
        """Make an image of a container."""
        return self._call(
            "POST",
            "/commit",
            {
                "author": author,
                "changes": changes,
                "comment": comment,
                "container": container,
                "pause": pause,
                "repo": repo,
                "tag": tag,
            },
            {
            },
            config,
        )

    def image_create(
        self,
        input_image: Optional[Body] = None,
        *,
        changes: Optional[List[str]] = None,
        from_image: Optional[str] = None,
        from_src: Optional[str] = None,
        message: Optional[str] = None,
        repo: Optional[str] = None,
        tag: Optional[str] = None,
        x_registry_auth: Optional[str] = None,
    ) -> Stream:
        """Pull or import an image."""
        return self._stream(
            "POST",
            "/images/create",
            {
                "changes": changes,
                "fromImage": from_image,
                "fromSrc": from_src,
                "message": message,
                "repo": repo,
                "tag": tag,
            },
            {
                "X-Registry-Auth": x_registry_auth,
            },
            input_image,
        )

    def image_delete(
        self,
        name: str,
        *,
        force: Optional[bool] = None,
        noprune: Optional[bool] = None,
    ) -> List[ImageDeleteItem]:
        """Remove an image."""
        return self._call(
            "DELETE",
            "/images/{name}".replace("{name}", name),
            {
                "force": force,
                "noprune": noprune,
            },
            {
            },
            None,
        )

    def image_get(
        self,
        name: str,
    ) -> Stream:
        """Save one image or repository."""
        return self._stream(
            "GET",
            "/images/{name}/get".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def image_get_all(
        self,
        *,
        names: Optional[List[str]] = None,
    ) -> Stream:
        """Save several images."""
        return self._stream(
            "GET",
            "/images/get",
            {
                "names": names,
            },
            {
            },
            None,
        )

    def image_history(
        self,
        name: str,
    ) -> List[ImageHistoryItem]:
        """Show how an image came about."""
        return self._call(
            "GET",
            "/images/{name}/history".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def image_inspect(
        self,
        name: str,
    ) -> ImageInspect:
        """Inspect an image."""
        return self._call(
            "GET",
            "/images/{name}/json".replace("{name}", name),
            {
            },
            {
            },
            None,
        )

    def image_list(
        self,
        *,
        all: Optional[bool] = None,
        digests: Optional[bool] = None,
        filter: Optional[str] = None,
        filters: Optional[str] = None,
    ) -> List[ImageSummary]:
        """List images."""
        return self._call(
            "GET",
            "/images/json",
            {
                "all": all,
                "digests": digests,
                "filter": filter,
                "filters": filters,
            },
            {
            },
            None,
        )

    def image_load(
        self,
        input_archive: Optional[Body] = None,
    ) -> Stream:
        """Load saved images."""
        return self._stream(
            "POST",
            "/images/load",
            {
            },
            {
            },
            input_archive,
        )

    def image_push(
        self,
        name: str,
        auth_config: Optional[AuthConfig] = None,
        *,
        tag: Optional[str] = None,
        x_registry_auth: Optional[str] = None,
    ) -> Stream:
        """Push an image to its registry."""
        return self._stream(
            "POST",
            "/images/{name}/push".replace("{name}", name),
            {
                "tag": tag,
            },
            {
                "X-Registry-Auth": x_registry_auth,
            },
            auth_config,
        )

    def image_search(
        self,
        *,
        term: Optional[str] = None,
        x_registry_auth: Optional[str] = None,
    ) -> List[SearchResult]:
        """Search a registry's index."""
        return self._call(
            "GET",
            "/images/search",
            {
                "term": term,
            },
            {
                "X-Registry-Auth": x_registry_auth,
            },
            None,
        )

    def image_tag(
        self,
        name: str,
        *,
        force: Optional[bool] = None,
        repo: Optional[str] = None,
        tag: Optional[str] = None,
    ) -> None:
        """Give an image a name."""
        return self._call(
            "POST",
            "/images/{name}/tag".replace("{name}", name),
            {
                "force": force,
                "repo": repo,
                "tag": tag,
            },
            {
            },
            None,
        )

    def system_auth(
        self,
        auth_config: Optional[AuthConfig] = None,
    ) -> AuthResponse:
        """Check credentials."""
        return self._call(
            "POST",
            "/auth",
            {
            },
            {
            },
            auth_config,
        )

    def system_events(
        self,
        *,
        filters: Optional[str] = None,
        since: Optional[str] = None,
        until: Optional[str] = None,
    ) -> Stream:
        """Watch what happens."""
        return self._stream(
            "GET",
            "/events",
            {
                "filters": filters,
                "since": since,
                "until": until,
            },
            {
            },
            None,
        )

    def system_info(
        self,
    ) -> Info:
        """Describe the engine and its host."""
        return self._call(
            "GET",
            "/info",
            {
            },
            {
            },
            None,
        )

    def system_ping(
        self,
    ) -> str:
        """Ask whether the engine answers."""
        return self._call(
            "GET",
            "/_ping",
            {
            },
            {
            },
            None,
        )

    def system_version(
        self,
    ) -> Version:
        """Show versions."""
        return self._call(
            "GET",
            "/version",
            {
            },
            {
            },
            None,
        )
