/* eslint-disable */
/* tslint:disable */
// @ts-nocheck
/*
 * ---------------------------------------------------------------
 * ## THIS FILE WAS GENERATED VIA SWAGGER-TYPESCRIPT-API        ##
 * ##                                                           ##
 * ## AUTHOR: acacode                                           ##
 * ## SOURCE: https://github.com/acacode/swagger-typescript-api ##
 * ---------------------------------------------------------------
 */

/** An object without properties. It stands where a map is used as a set: the keys are the members, the values say nothing. */
export type EmptyObject = object;

/** A program with its arguments, one list item per word. A request may also give a single string, which stands for a list of that one word and is not split; an empty string gives a list of one empty word. Answers always hold a list or null. */
export type CommandLine = string[];

/** A list of strings. A request may give a single string for a list of one. Answers always hold a list or null. */
export type StringSlice = string[];

/** Settings for the lxc execution driver. A request may give an object of keys and values or a list of pairs; answers hold a list of pairs, empty when there are none. No engine of today has an lxc driver: the settings are kept and have no effect. */
export type LxcConf = LxcPair[];

/** One setting of the lxc execution driver. */
export interface LxcPair {
  /** Name of the setting, such as lxc.utsname. */
  Key?: string;
  /** Value of the setting. */
  Value?: string;
}

/** An address and port of the host at which a container's port is published. */
export interface PortBinding {
  /** Address of the host to listen on. Empty means every address; answers for a running container then say 0.0.0.0. */
  HostIp?: string;
  /** Port of the host, as a decimal string. Empty or 0 lets the engine choose a free port. */
  HostPort?: string;
}

/** Ports of a container and where the host publishes them. A key is port/protocol, for example 22/tcp; the value is null for a port that is exposed and not published. */
export type PortMap = Record<string, PortBinding[] | null>;

/** What to do when the container's process ends. Waits of 100 ms, doubled each time, stand between two restarts. */
export interface RestartPolicy {
  /** always restarts whatever the exit code, on-failure only when it is not zero, the empty string or no never. The default is never. */
  Name?: string;
  /**
   * Number of restarts after which on-failure gives up; 0 sets no bound. Other policies ignore it.
   * @format int64
   */
  MaximumRetryCount?: number;
}

/** Where the output of the container's process is kept. */
export interface LogConfig {
  /** Name of the log driver; json-file, syslog, journald or none. Empty means the daemon's default, json-file. */
  Type?: string;
  /** Options of the log driver. */
  Config?: Record<string, string> | null;
}

/** A resource limit of the container's processes (setrlimit). */
export interface Ulimit {
  /** Name of the limit in lower case and without RLIMIT_, for example nofile. */
  Name?: string;
  /**
   * Soft limit, in the unit of that resource; -1 is unlimited.
   * @format int64
   */
  Soft?: number;
  /**
   * Hard limit, in the unit of that resource; -1 is unlimited.
   * @format int64
   */
  Hard?: number;
}

/** A device of the host that the container may use. */
export interface DeviceMapping {
  /** Path of the device node on the host. */
  PathOnHost?: string;
  /** Path of the device node in the container; empty means the same as on the host. */
  PathInContainer?: string;
  /** Any of r (read), w (write) and m (make the node); empty means all three. */
  CgroupPermissions?: string;
}

/** The storage driver of a file system and what it says about it. */
export interface GraphDriverData {
  /** Name of the storage driver. */
  Name?: string;
  /** Facts of the driver, for example the directories of an overlay. */
  Data?: Record<string, string> | null;
}

/** The part of a container's settings that does not depend on the host. An image carries one as its defaults. */
export interface ContainerConfig {
  /** Host name inside the container. Empty means the first twelve digits of the container's id. */
  Hostname?: string;
  /** Domain name inside the container. */
  Domainname?: string;
  /** User that the process runs as, a name or number, with an optional group after a colon. Empty is root. */
  User?: string;
  /** Whether the client that starts the container means to attach to standard input. */
  AttachStdin?: boolean;
  /** Whether the client that starts the container means to attach to standard output. */
  AttachStdout?: boolean;
  /** Whether the client that starts the container means to attach to standard error. */
  AttachStderr?: boolean;
  /** Whether the process gets a terminal. Its output is then one raw stream without frames. */
  Tty?: boolean;
  /** Whether standard input stays open for clients that attach later. */
  OpenStdin?: boolean;
  /** Whether standard input is closed for good when the first attached client leaves. */
  StdinOnce?: boolean;
  /** Environment variables, one NAME=value per item. */
  Env?: string[] | null;
  /** Command to run, or the arguments for Entrypoint when that is set. */
  Cmd?: CommandLine | null;
  /** Program that every run starts with; Cmd is appended to it. */
  Entrypoint?: CommandLine | null;
  /** Name or id of the image that the container is created from. */
  Image?: string;
  /** Labels, free names and values. */
  Labels?: Record<string, string> | null;
  /** Paths in the container that get a volume of their own; a set. */
  Volumes?: Record<string, EmptyObject> | null;
  /** Working directory of the process. Empty is the root directory. */
  WorkingDir?: string;
  /** Whether the container has no network but its loopback interface. */
  NetworkDisabled?: boolean;
  /** MAC address of the container's interface. Empty lets the engine choose. */
  MacAddress?: string;
  /** Ports that the container listens on, each port/protocol; a set. */
  ExposedPorts?: Record<string, EmptyObject> | null;
  /** Dockerfile instructions that run when another image is built from this one. */
  OnBuild?: string[] | null;
  /** Ports in the notation of engines before 0.6. Kept for old clients, without effect. */
  PortSpecs?: StringSlice | null;
  /** Volume driver that makes the volumes of this container. Empty is local. */
  VolumeDriver?: string;
  /**
   * Memory limit in bytes, for clients that do not know HostConfig.Memory. 0 sets no limit.
   * @format int64
   */
  Memory?: number;
  /**
   * Limit in bytes of memory and swap together, for clients that do not know HostConfig.MemorySwap. -1 is unlimited.
   * @format int64
   */
  MemorySwap?: number;
  /**
   * Relative weight of the container's CPU time, for clients that do not know HostConfig.CpuShares.
   * @format int64
   */
  CpuShares?: number;
  /** CPUs that the container may run on, for clients that do not know HostConfig.CpusetCpus; for example 0-2,7. */
  Cpuset?: string;
  /** Name servers, a leftover of early engines in the configuration of an image. Without effect. */
  Dns?: string[] | null;
  /** Container to take volumes from, a leftover of early engines in the configuration of an image. Without effect. */
  VolumesFrom?: string;
  /** Security labels, a leftover of early engines in the configuration that inspecting an exec shows. Without effect. */
  SecurityOpt?: string[] | null;
}

/** The part of a container's settings that depends on the host it runs on. */
export interface HostConfig {
  /** Directories and files of the host to mount, each host-path:container-path, with :ro after it for a read-only mount. Both paths are absolute. */
  Binds?: string[] | null;
  /** Containers to link to, each name:alias. */
  Links?: string[] | null;
  /** Settings for the lxc execution driver. */
  LxcConf?: LxcConf;
  /**
   * Memory limit in bytes. 0 sets no limit.
   * @format int64
   */
  Memory?: number;
  /**
   * Limit in bytes of memory and swap together, larger than Memory and only allowed beside it. -1 is unlimited, 0 is twice Memory.
   * @format int64
   */
  MemorySwap?: number;
  /**
   * Weight of the container's CPU time relative to other containers. 0 is the kernel's default, 1024.
   * @format int64
   */
  CpuShares?: number;
  /** CPUs that the container may run on, for example 0-2,7. Empty is all of them. */
  CpusetCpus?: string;
  /** PID namespace of the container. Empty is one of its own, host the host's, container:<name or id> that of another container. */
  PidMode?: string;
  /** Ports of the container to publish on the host. */
  PortBindings?: PortMap;
  /** Whether every exposed port is published on a free port of the host. The ports are chosen at each start from the kernel's ephemeral range (net.ipv4.ip_local_port_range) and given back when the container stops. */
  PublishAllPorts?: boolean;
  /** Whether the container has full access to the host. */
  Privileged?: boolean;
  /** Whether the container's root file system is mounted read-only. */
  ReadonlyRootfs?: boolean;
  /** Addresses of the name servers that the container uses. Empty means the host's. */
  Dns?: string[] | null;
  /** Search domains for host names. */
  DnsSearch?: string[] | null;
  /** Lines to add to the container's /etc/hosts, each hostname:address. */
  ExtraHosts?: string[] | null;
  /** Containers whose volumes to mount too, each name, with :ro or :rw after it if wanted. */
  VolumesFrom?: string[] | null;
  /** Kernel capabilities to add to the default set, without CAP_; ALL adds every one. */
  CapAdd?: StringSlice | null;
  /** Kernel capabilities to drop from the default set, without CAP_; ALL drops every one. */
  CapDrop?: StringSlice | null;
  /** What to do when the container's process ends. The default is not to restart it. */
  RestartPolicy?: RestartPolicy;
  /** Network of the container; bridge, host, none or container:<name or id> to share another container's. Empty and default are bridge. */
  NetworkMode?: string;
  /** Devices of the host that the container may use. */
  Devices?: DeviceMapping[] | null;
  /** Resource limits to set for the container's processes. */
  Ulimits?: Ulimit[] | null;
  /** Labels for security systems such as SELinux, for example label:disable. */
  SecurityOpt?: string[] | null;
  /** Where the output of the container's process is kept. */
  LogConfig?: LogConfig;
  /** Cgroup under which the container's own is made. A path that is not absolute starts at the cgroup of the daemon's init process. Missing cgroups are made. */
  CgroupParent?: string;
  /** File in which the client has written the container's id. The engine only keeps the name. */
  ContainerIDFile?: string;
  /** IPC namespace of the container. Empty is one of its own, host the host's, container:<name or id> that of another container. */
  IpcMode?: string;
}

/** What a new container is made of. */
export type ContainerCreateRequest = ContainerConfig & {
  /** Settings that depend on the host. */
  HostConfig?: HostConfig;
};

/** The container that was made. */
export interface ContainerCreateResponse {
  /** Id of the container, 64 hexadecimal digits. */
  Id?: string;
  /** What the engine could not do as asked, one sentence each. Empty when there is nothing to say. */
  Warnings?: string[] | null;
}

/** How the container's process ended. */
export interface ContainerWaitResponse {
  /**
   * Exit code of the process; 128 plus the signal's number when a signal ended it.
   * @format int64
   */
  StatusCode?: number;
}

/** A port of a container and where the host publishes it. */
export interface Port {
  /** Address of the host that is listened on. Left out for a port that is not published. */
  IP?: string;
  /**
   * Port number in the container.
   * @format int64
   */
  PrivatePort?: number;
  /**
   * Port number on the host. Left out for a port that is not published.
   * @format int64
   */
  PublicPort?: number;
  /** Protocol, tcp or udp. */
  Type?: string;
}

/** A container in the list of containers. */
export interface ContainerSummary {
  /** Id of the container, 64 hexadecimal digits. */
  Id?: string;
  /** Names of the container, each with a slash before it; /other/alias for a link from another container. */
  Names?: string[];
  /** Image of the container as it was named at creation. */
  Image?: string;
  /** Command line of the container in one string, its arguments quoted where a shell needs it. */
  Command?: string;
  /**
   * Time of creation in seconds since 1970-01-01 UTC.
   * @format int64
   */
  Created?: number;
  /** State of the container in words for people, such as Up 2 seconds. */
  Status?: string;
  /** Ports that are exposed or published. */
  Ports?: Port[];
  /** Labels of the container. */
  Labels?: Record<string, string>;
  /**
   * Bytes of files that the container has added or changed. Only there when sizes are asked for.
   * @format int64
   */
  SizeRw?: number | null;
  /**
   * Bytes of all files of the container, its image's with it. Only there when sizes are asked for.
   * @format int64
   */
  SizeRootFs?: number | null;
}

/** State of a container's process. */
export interface State {
  /** Why the last start failed. Empty when it did not. */
  Error?: string;
  /**
   * Exit code of the process, 0 while it runs; 128 plus the signal's number when a signal ended it.
   * @format int64
   */
  ExitCode?: number;
  /** Time at which the process last ended, in UTC as RFC 3339 text with nanoseconds. 0001-01-01T00:00:00Z means never. */
  FinishedAt?: string;
  /** Whether the kernel ended the process because the container was out of memory. */
  OOMKilled?: boolean;
  /** Whether the container is paused. It then counts as running, too. */
  Paused?: boolean;
  /**
   * Process id on the host, 0 when the container is not running.
   * @format int64
   */
  Pid?: number;
  /** Whether the container waits to be started again by its restart policy. */
  Restarting?: boolean;
  /** Whether the container is running. */
  Running?: boolean;
  /** Time at which the process was last started, in UTC as RFC 3339 text with nanoseconds. 0001-01-01T00:00:00Z means never. */
  StartedAt?: string;
}

/** Ports in the notation of early engines, by protocol and then by port of the container. Always null. */
export type LegacyPortMapping = Record<string, Record<string, string>>;

/** Addresses and ports of a container. All are empty while it is not running. */
export interface NetworkSettings {
  /** Name of the bridge that the container is attached to. Today's engines leave it empty. */
  Bridge?: string;
  /** IPv4 address of the default gateway. */
  Gateway?: string;
  /** IPv4 address of the container on the default network. */
  IPAddress?: string;
  /**
   * Length of the IPv4 network's prefix, in bits.
   * @format int64
   */
  IPPrefixLen?: number;
  /** MAC address of the container's interface on the default network. */
  MacAddress?: string;
  /** Ports in the notation of early engines. Always null. */
  PortMapping?: LegacyPortMapping;
  /** Ports that are exposed or published, with the host's ports in use. */
  Ports?: PortMap;
}

/** Everything that the engine knows of a container. */
export interface ContainerInspect {
  /** Name of the AppArmor profile of the container's processes. Empty for none. */
  AppArmorProfile?: string;
  /** Arguments of the process. */
  Args?: string[];
  /** Settings that do not depend on the host. */
  Config?: ContainerConfig;
  /** Time of creation, in UTC as RFC 3339 text with nanoseconds. */
  Created?: string;
  /** Name of the storage driver of the container's file system. */
  Driver?: string;
  /** Name and version of the execution driver, such as native-0.2. */
  ExecDriver?: string;
  /** Ids of the exec instances that run in the container; null when there are none. */
  ExecIDs?: string[] | null;
  /** Settings that depend on the host. */
  HostConfig?: HostConfig;
  /** File on the host that the container sees as /etc/hostname. Empty before the first start. */
  HostnamePath?: string;
  /** File on the host that the container sees as /etc/hosts. Empty before the first start. */
  HostsPath?: string;
  /** File on the host that the json-file log driver writes to. Empty before the first start and for other drivers. */
  LogPath?: string;
  /** Id of the container, 64 hexadecimal digits. */
  Id?: string;
  /** Id of the container's image. */
  Image?: string;
  /** SELinux label of the container's mounts. Empty for none. */
  MountLabel?: string;
  /** Name of the container with a slash before it. */
  Name?: string;
  /** Addresses and ports. */
  NetworkSettings?: NetworkSettings;
  /** Program of the process. */
  Path?: string;
  /** SELinux label of the container's processes. Empty for none. */
  ProcessLabel?: string;
  /** File on the host that the container sees as /etc/resolv.conf. Empty before the first start. */
  ResolvConfPath?: string;
  /**
   * How often the restart policy has started the container again since a client started it.
   * @format int64
   */
  RestartCount?: number;
  /** State of the container's process. */
  State?: State;
  /** Volumes and bind mounts, path in the container to path on the host. */
  Volumes?: Record<string, string>;
  /** Whether the mount at a path in the container may be written to. */
  VolumesRW?: Record<string, boolean>;
  /** Storage driver of the container's file system and what it says about it. */
  GraphDriver?: GraphDriverData;
}

/** The processes of one container, as a table. */
export interface ContainerTopResponse {
  /** The column headings, in the order in which ps prints them. */
  Titles?: string[];
  /** One row per process, with as many cells as there are headings. Everything after the last heading stays in the last cell, blanks included. */
  Processes?: string[][];
}

/** One path at which a container's filesystem differs from its image. */
export interface ContainerChange {
  /** Absolute path as seen inside the container. */
  Path?: string;
  /**
   * What happened to the path. 0 is modified, 1 is added, 2 is deleted.
   * @format int64
   */
  Kind?: 0 | 1 | 2;
}

/** One sample of a container's resource usage. */
export interface Stats {
  /** Moment of the sample, RFC 3339 with up to nine digits of a second. */
  read?: string;
  /** Network traffic, the sum over the interfaces of the container. */
  network?: StatsNetwork;
  /** Memory. */
  memory_stats?: StatsMemory;
  /** Block devices. */
  blkio_stats?: StatsBlkio;
  /** Processor time at the moment of the sample. */
  cpu_stats?: StatsCPU;
  /** Processor time at the previous sample; together with cpu_stats it gives the load in between. It is read anew for this sample and need not equal the cpu_stats that the previous one showed. */
  precpu_stats?: StatsCPU;
}

/** Traffic counters since the container was started, as the container sees them (rx is what it received). In a sample that has one such object for the whole container, the sum over its interfaces. */
export interface StatsNetwork {
  /**
   * Bytes received.
   * @format uint64
   */
  rx_bytes?: number;
  /**
   * Packets received.
   * @format uint64
   */
  rx_packets?: number;
  /**
   * Packets that arrived damaged.
   * @format uint64
   */
  rx_errors?: number;
  /**
   * Arriving packets that were thrown away.
   * @format uint64
   */
  rx_dropped?: number;
  /**
   * Bytes sent.
   * @format uint64
   */
  tx_bytes?: number;
  /**
   * Packets sent.
   * @format uint64
   */
  tx_packets?: number;
  /**
   * Packets that could not be sent.
   * @format uint64
   */
  tx_errors?: number;
  /**
   * Packets that were thrown away instead of being sent.
   * @format uint64
   */
  tx_dropped?: number;
}

/** Processor time of the container and of the whole host at one moment. */
export interface StatsCPU {
  /** Processor time of the container's processes. */
  cpu_usage?: StatsCPUUsage;
  /**
   * Processor time of the host since it was booted, all processors and all states (idle too) added up, in nanoseconds. The container's share of the host between two samples is the growth of cpu_usage.total_usage divided by the growth of this.
   * @format uint64
   */
  system_cpu_usage?: number;
  /** Effects of a CPU quota. */
  throttling_data?: StatsThrottling;
}

/** Processor time that the container's processes have used up, in nanoseconds. */
export interface StatsCPUUsage {
  /**
   * On all processors together, nanoseconds.
   * @format uint64
   */
  total_usage?: number;
  /** On each processor, nanoseconds; item 0 is the first processor. */
  percpu_usage?: number[];
  /**
   * The part spent in the kernel, nanoseconds (the kernel counts it in clock ticks, so it is coarser than the total).
   * @format uint64
   */
  usage_in_kernelmode?: number;
  /**
   * The part spent outside the kernel, nanoseconds (in clock ticks as well).
   * @format uint64
   */
  usage_in_usermode?: number;
}

/** How often the container was held back by a CPU quota. All zero without a quota. */
export interface StatsThrottling {
  /**
   * Quota periods that have passed.
   * @format uint64
   */
  periods?: number;
  /**
   * Periods in which the quota was used up.
   * @format uint64
   */
  throttled_periods?: number;
  /**
   * Time for which processes were held back, nanoseconds.
   * @format uint64
   */
  throttled_time?: number;
}

/** The container's memory, in bytes. */
export interface StatsMemory {
  /**
   * Memory charged to the container now, page cache included, bytes.
   * @format uint64
   */
  usage?: number;
  /**
   * The highest usage so far, bytes.
   * @format uint64
   */
  max_usage?: number;
  /** The kernel's break-down. */
  stats?: StatsMemoryDetail;
  /**
   * How often the container hit its limit.
   * @format uint64
   */
  failcnt?: number;
  /**
   * The container's limit, or the memory of the host if that is smaller or no limit is set, bytes.
   * @format uint64
   */
  limit?: number;
}

/** The kernel's own break-down of the memory (memory.stat of the memory controller). Sizes are bytes, pg* are numbers of events. A name with the prefix total_ counts the container and the control groups below it, the same name without it the container's own group alone. */
export interface StatsMemoryDetail {
  /**
   * Page cache.
   * @format uint64
   */
  cache?: number;
  /**
   * Anonymous memory, transparent huge pages included.
   * @format uint64
   */
  rss?: number;
  /**
   * The part of rss in transparent huge pages.
   * @format uint64
   */
  rss_huge?: number;
  /**
   * Mapped files, shared memory and tmpfs included.
   * @format uint64
   */
  mapped_file?: number;
  /**
   * Memory that is being written to disk.
   * @format uint64
   */
  writeback?: number;
  /**
   * Pages charged to the group so far.
   * @format uint64
   */
  pgpgin?: number;
  /**
   * Pages given back so far.
   * @format uint64
   */
  pgpgout?: number;
  /**
   * Page faults.
   * @format uint64
   */
  pgfault?: number;
  /**
   * Page faults that had to wait for a disk.
   * @format uint64
   */
  pgmajfault?: number;
  /**
   * Anonymous memory that has not been used lately.
   * @format uint64
   */
  inactive_anon?: number;
  /**
   * Anonymous memory in use.
   * @format uint64
   */
  active_anon?: number;
  /**
   * Page cache that has not been used lately.
   * @format uint64
   */
  inactive_file?: number;
  /**
   * Page cache in use.
   * @format uint64
   */
  active_file?: number;
  /**
   * Memory that cannot be reclaimed (locked, for one).
   * @format uint64
   */
  unevictable?: number;
  /**
   * The limit that holds for the group, its parents' limits considered.
   * @format uint64
   */
  hierarchical_memory_limit?: number;
  /**
   * cache of the whole subtree.
   * @format uint64
   */
  total_cache?: number;
  /**
   * rss of the whole subtree.
   * @format uint64
   */
  total_rss?: number;
  /**
   * rss_huge of the whole subtree.
   * @format uint64
   */
  total_rss_huge?: number;
  /**
   * mapped_file of the whole subtree.
   * @format uint64
   */
  total_mapped_file?: number;
  /**
   * writeback of the whole subtree.
   * @format uint64
   */
  total_writeback?: number;
  /**
   * pgpgin of the whole subtree.
   * @format uint64
   */
  total_pgpgin?: number;
  /**
   * pgpgout of the whole subtree.
   * @format uint64
   */
  total_pgpgout?: number;
  /**
   * pgfault of the whole subtree.
   * @format uint64
   */
  total_pgfault?: number;
  /**
   * pgmajfault of the whole subtree.
   * @format uint64
   */
  total_pgmajfault?: number;
  /**
   * inactive_anon of the whole subtree.
   * @format uint64
   */
  total_inactive_anon?: number;
  /**
   * active_anon of the whole subtree.
   * @format uint64
   */
  total_active_anon?: number;
  /**
   * inactive_file of the whole subtree.
   * @format uint64
   */
  total_inactive_file?: number;
  /**
   * active_file of the whole subtree.
   * @format uint64
   */
  total_active_file?: number;
  /**
   * unevictable of the whole subtree.
   * @format uint64
   */
  total_unevictable?: number;
  /**
   * Like hierarchical_memory_limit for memory and swap together.
   * @format uint64
   */
  hierarchical_memsw_limit?: number;
  /**
   * Swap space in use.
   * @format uint64
   */
  swap?: number;
  /**
   * swap of the whole subtree.
   * @format uint64
   */
  total_swap?: number;
  /**
   * Page cache that still has to be written to disk.
   * @format uint64
   */
  dirty?: number;
  /**
   * dirty of the whole subtree.
   * @format uint64
   */
  total_dirty?: number;
  /**
   * Shared memory and tmpfs.
   * @format uint64
   */
  shmem?: number;
  /**
   * shmem of the whole subtree.
   * @format uint64
   */
  total_shmem?: number;
}

/** Block device traffic of the container, per device. A list is empty where the kernel keeps no such counter. */
export interface StatsBlkio {
  /** Bytes moved, per device and direction. */
  io_service_bytes_recursive?: StatsBlkioEntry[];
  /** Requests done, per device and direction. */
  io_serviced_recursive?: StatsBlkioEntry[];
  /** Requests waiting, per device and direction. */
  io_queue_recursive?: StatsBlkioEntry[];
  /** Nanoseconds between handing a request to the device and its completion, added up. */
  io_service_time_recursive?: StatsBlkioEntry[];
  /** Nanoseconds that requests waited in the scheduler's queues, added up. */
  io_wait_time_recursive?: StatsBlkioEntry[];
  /** Requests that were merged into others. */
  io_merged_recursive?: StatsBlkioEntry[];
  /** Milliseconds for which a device worked for the container alone. */
  io_time_recursive?: StatsBlkioEntry[];
  /** Sectors moved, per device. */
  sectors_recursive?: StatsBlkioEntry[];
}

/** One counter of one block device. */
export interface StatsBlkioEntry {
  /**
   * Major number of the device.
   * @format uint64
   */
  major?: number;
  /**
   * Minor number of the device.
   * @format uint64
   */
  minor?: number;
  /** What is counted, one of Read, Write, Sync, Async, Discard and Total; empty where the kernel does not tell them apart. */
  op?: string;
  /**
   * The counter; its unit is that of the list.
   * @format uint64
   */
  value?: number;
}

/** What to copy out of a container. */
export interface CopyConfig {
  /** Path of the file or directory, counted from the container's root directory; a leading slash makes no difference. */
  Resource?: string;
  /** Where the client is going to put the copy. Ignored. */
  HostPath?: string;
}

/** One thing that happened to a container or an image. */
export interface Event {
  /** What happened, one of the names listed at the operation. exec_create and exec_start are followed by a colon, a blank and the command line. */
  status?: string;
  /** The container's id, or the image's reference or id. */
  id?: string;
  /** The image of the container, in the words of its creator; absent in events of images. */
  from?: string;
  /**
   * When it happened, seconds since 1970-01-01 UTC.
   * @format int64
   */
  time?: number;
  /** The container that ended, with the attribute exitCode; in the event die only. */
  Actor?: EventActor;
}

/** What an event is about. */
export type EventActor = {
  /** Id of the container. */
  ID?: string;
  /** Further facts by name. */
  Attributes?: Record<string, string>;
} | null;

/** A command to run in a container. */
export interface ExecConfig {
  /** Connect the command's standard input when it is started. */
  AttachStdin?: boolean;
  /** Connect the command's standard output when it is started. */
  AttachStdout?: boolean;
  /** Connect the command's standard error when it is started. */
  AttachStderr?: boolean;
  /** Give the command a pseudo-terminal. Its output then is one unframed stream. */
  Tty?: boolean;
  /** Program and arguments, or one string that is the program with no arguments. */
  Cmd?: CommandLine;
  /** The client means to start the command without connecting to it. Ignored here; what counts is Detach of the start. */
  Detach?: boolean;
  /** The container's id or name once more. Ignored; the one in the path counts. */
  Container?: string;
}

/** The new exec instance. */
export interface ExecCreateResponse {
  /** Id of the exec instance, 64 hexadecimal digits; it is what start, resize and inspect take. */
  Id?: string;
  /** What the engine could not do exactly as asked; empty if there is nothing to say. */
  Warnings?: string[];
}

/** How to start an exec instance. */
export interface ExecStartConfig {
  /** Start the command and answer at once, without connecting its streams. */
  Detach?: boolean;
  /** Tells whether the client expects a pseudo-terminal's unframed stream; to be given as at the creation of the instance. */
  Tty?: boolean;
}

/** An exec instance. */
export interface ExecInspect {
  /** Id of the exec instance, 64 hexadecimal digits. */
  ID?: string;
  /** True between the start of the command and its end. */
  Running?: boolean;
  /**
   * Exit status of the command; null until it has ended.
   * @format int64
   */
  ExitCode?: number | null;
  /** The command. */
  ProcessConfig?: ExecProcessConfig;
  /** The command's standard input is connected. */
  OpenStdin?: boolean;
  /** The command's standard error is connected. */
  OpenStderr?: boolean;
  /** The command's standard output is connected. */
  OpenStdout?: boolean;
  /** The container in which the command runs, in full. */
  Container?: ExecContainer;
  /** Id of the container in which the command runs. */
  ContainerID?: string;
}

/** The command of an exec instance. */
export interface ExecProcessConfig {
  /** The command has all capabilities that the engine can give. */
  privileged?: boolean;
  /** User, and optionally group, of the command as user[:group], names or numbers; empty means the container's. */
  user?: string;
  /** The command has a pseudo-terminal. */
  tty?: boolean;
  /** The program. */
  entrypoint?: string;
  /** The program's arguments, without its own name. */
  arguments?: string[];
}

/** The container of an exec instance, in full. */
export interface ExecContainer {
  /** The container's state. */
  State?: State;
  /** The container's id, 64 hexadecimal digits. */
  ID?: string;
  /** When the container was created, RFC 3339 with up to nine digits of a second. */
  Created?: string;
  /** The program of the container's first process. */
  Path?: string;
  /** The arguments of the container's first process. */
  Args?: string[];
  /** The container's configuration. */
  Config?: ContainerConfig;
  /** Id of the image that the container was made from. */
  Image?: string;
  /** The container's addresses and ports. */
  NetworkSettings?: NetworkSettings;
  /** File on the host that is the container's /etc/resolv.conf. */
  ResolvConfPath?: string;
  /** File on the host that is the container's /etc/hostname. */
  HostnamePath?: string;
  /** File on the host that is the container's /etc/hosts. */
  HostsPath?: string;
  /** File on the host with the container's log; empty if its logging driver keeps none. */
  LogPath?: string;
  /** The container's name, with a slash before it. */
  Name?: string;
  /** The storage driver of the container's filesystem. */
  Driver?: string;
  /** What runs the container's processes, name and version. */
  ExecDriver?: string;
  /** SELinux label of the container's mounts. */
  MountLabel?: string;
  /** SELinux label of the container's processes. */
  ProcessLabel?: string;
  /** AppArmor profile of the container's processes. */
  AppArmorProfile?: string;
  /**
   * How often the restart policy has started the container again.
   * @format int64
   */
  RestartCount?: number;
  /** The container's volumes, path in the container to path on the host. */
  Volumes?: Record<string, string>;
  /** Whether each volume, by its path in the container, is writable. */
  VolumesRW?: Record<string, boolean>;
}

/** One image as the image list shows it. An image with several names is one item. */
export interface ImageSummary {
  /** Image id, the SHA-256 of the image's configuration. Engines that speak API 1.22 and later prefix it with `sha256:`. */
  Id?: string;
  /** Id of the image this one was built or committed from; empty for a base image and after a pull. */
  ParentId?: string;
  /** All `repository:tag` names that point to the image. Null, or the one entry `<none>:<none>`, for a dangling image. */
  RepoTags?: string[] | null;
  /** All `repository@algorithm:hex` references known from pulls and pushes; null when there is none. */
  RepoDigests?: string[] | null;
  /**
   * Creation time, Unix time in seconds.
   * @format int64
   */
  Created?: number;
  /**
   * Bytes that the image adds to its parent; the whole image where no parent is known.
   * @format int64
   */
  Size?: number;
  /**
   * Bytes of all layers of the image, parents included.
   * @format int64
   */
  VirtualSize?: number;
  /** Labels of the image's configuration; null when it has none. */
  Labels?: Record<string, string> | null;
}

/** Everything known about one image. */
export interface ImageInspect {
  /** Image id. */
  Id?: string;
  /** Id of the parent image; empty when there is none. */
  Parent?: string;
  /** Message given at commit or import; empty when none was given. */
  Comment?: string;
  /** Creation time, RFC 3339 with nanoseconds. */
  Created?: string;
  /** Id of the container the image was committed from; empty for an imported image. */
  Container?: string;
  /** Configuration of the container that the image was committed from. */
  ContainerConfig?: ContainerConfig;
  /** Version of the engine that made the image. */
  DockerVersion?: string;
  /** Author given at build or commit. */
  Author?: string;
  /** What a container of this image starts with. */
  Config?: ContainerConfig;
  /** Processor architecture in Go's spelling, for example `amd64`. */
  Architecture?: string;
  /** Operating system in Go's spelling, for example `linux`. */
  Os?: string;
  /**
   * Bytes that the image adds to its parent; the whole image where no parent is known.
   * @format int64
   */
  Size?: number;
  /**
   * Bytes of all layers of the image, parents included.
   * @format int64
   */
  VirtualSize?: number;
}

/** One step of an image's history, newest first. */
export interface ImageHistoryItem {
  /** Id of the image that this step produced, or `<missing>` where that image is not stored. */
  Id?: string;
  /**
   * Time of the step, Unix time in seconds.
   * @format int64
   */
  Created?: number;
  /** Command line of the step; empty for an import. */
  CreatedBy?: string;
  /** Names that point to this step's image; null when there is none. */
  Tags?: string[] | null;
  /**
   * Bytes that the step added.
   * @format int64
   */
  Size?: number;
  /** Message given at commit or import. */
  Comment?: string;
}

/** One effect of removing an image. Exactly one of the fields is set. */
export interface ImageDeleteItem {
  /** Name that was taken from the image. */
  Untagged?: string;
  /** Id of an image or layer that was deleted. */
  Deleted?: string;
}

/** One repository found in a registry's index. */
export interface SearchResult {
  /**
   * Number of stars that users gave the repository.
   * @format int64
   */
  star_count?: number;
  /** Whether the index marks the repository as official. */
  is_official?: boolean;
  /** Name to pull the repository by. */
  name?: string;
  /** Whether the repository is built automatically from a source repository. */
  is_automated?: boolean;
  /** Short description that the owner gave. */
  description?: string;
}

/** Result of a commit. */
export interface CommitResponse {
  /** Id of the new image. */
  Id?: string;
}

/** One line of the progress stream of a build, pull, push, import or load. Each line is a JSON object of its own, ended by CR LF. Only the fields that apply are present. A line with `error` is the last one. */
export interface JSONMessage {
  /** Text to print as it is; output of a build or load. */
  stream?: string;
  /** What is being done at the moment, for example `Pulling fs layer`. */
  status?: string;
  /** The progress in numbers. */
  progressDetail?: ProgressDetail;
  /** The progress as a text to print; the numbers are in `progressDetail`. */
  progress?: string;
  /** Layer or tag that the line is about. Later lines with the same id replace the earlier one on a terminal. */
  id?: string;
  /** The failure that ended the work. */
  errorDetail?: ErrorDetail;
  /** Text of the failure that ended the work; the same as `errorDetail.message`. */
  error?: string;
}

/** Progress in numbers; an empty object where they are not known. */
export type ProgressDetail = {
  /**
   * Units done so far, usually bytes.
   * @format int64
   */
  current?: number;
  /**
   * Units in all, usually bytes; absent when not known.
   * @format int64
   */
  total?: number;
} | null;

/** Failure that ended a stream after its status line had been sent. */
export type ErrorDetail = {
  /**
   * Exit status of the failed build command or HTTP status of the registry; absent when there is none.
   * @format int64
   */
  code?: number;
  /** Text of the failure. */
  message?: string;
} | null;

/** Credentials for one registry. Sent as a body to check them, and as base64url-encoded JSON in the header `X-Registry-Auth`. */
export interface AuthConfig {
  /** Login name. */
  username?: string;
  /** Password in clear text. */
  password?: string;
  /** Address that the account is registered with. */
  email?: string;
  /** Registry as domain or IP address without scheme, or the full address of the public index; the public index when empty. */
  serveraddress?: string;
  /** Base64 of `username:password`. Callers leave it empty; when it is set it stands in for an absent name and password. */
  auth?: string;
}

/** Credentials by registry, each key a registry's host with its port if that is not 443. Base64url-encoded JSON in the header `X-Registry-Config`. */
export type AuthConfigs = Record<string, AuthConfig>;

/** Result of a successful login. */
export interface AuthResponse {
  /** The registry's verdict as a text, for example `Login Succeeded`. */
  Status?: string;
}

/** State and abilities of the engine and its host. */
export interface Info {
  /** Identity of the engine, twelve groups of four base32 characters; the same after a restart. */
  ID?: string;
  /**
   * Number of containers, stopped ones included.
   * @format int64
   */
  Containers?: number;
  /**
   * Number of images, intermediate ones included.
   * @format int64
   */
  Images?: number;
  /** Storage driver that image layers and containers live on. */
  Driver?: string;
  /** Facts about the storage driver, each a pair of name and value. */
  DriverStatus?: string[][] | null;
  /**
   * 1 if the kernel can limit a container's memory, else 0.
   * @format int64
   */
  MemoryLimit?: number;
  /**
   * 1 if the kernel can limit a container's swap, else 0.
   * @format int64
   */
  SwapLimit?: number;
  /**
   * 1 if the host forwards IPv4 packets, else 0.
   * @format int64
   */
  IPv4Forwarding?: number;
  /** Whether bridged IPv4 packets pass iptables. */
  BridgeNfIptables?: boolean;
  /** Whether bridged IPv6 packets pass ip6tables. */
  BridgeNfIp6tables?: boolean;
  /**
   * 1 if the engine logs debug messages, else 0.
   * @format int64
   */
  Debug?: number;
  /**
   * Number of file descriptors that the engine has open.
   * @format int64
   */
  NFd?: number;
  /**
   * Number of goroutines in the engine.
   * @format int64
   */
  NGoroutines?: number;
  /** The host's clock, RFC 3339 with nanoseconds. */
  SystemTime?: string;
  /** Name and version of what runs containers. */
  ExecutionDriver?: string;
  /** Log driver of containers that name none. */
  LoggingDriver?: string;
  /**
   * Number of clients that follow the event stream.
   * @format int64
   */
  NEventsListener?: number;
  /** Release of the running kernel. */
  KernelVersion?: string;
  /** Name of the host's operating system as its os-release file gives it. */
  OperatingSystem?: string;
  /** Address of the index that names without a registry refer to. */
  IndexServerAddress?: string;
  /** How registries are treated. */
  RegistryConfig?: RegistryConfig;
  /** Path of the program that is the first process of a container until the command takes over. */
  InitPath?: string;
  /** SHA-1 of that program, hexadecimal; empty when it is not checked. */
  InitSha1?: string;
  /**
   * Number of processors that the engine may use.
   * @format int64
   */
  NCPU?: number;
  /**
   * Memory of the host in bytes.
   * @format int64
   */
  MemTotal?: number;
  /** Directory that the engine keeps its data in. */
  DockerRootDir?: string;
  /** Proxy for plain HTTP from the engine's environment; empty when none is set. */
  HttpProxy?: string;
  /** Proxy for HTTPS from the engine's environment; empty when none is set. */
  HttpsProxy?: string;
  /** Hosts that are reached without a proxy, separated by commas. */
  NoProxy?: string;
  /** Host name. */
  Name?: string;
  /** Labels that the engine was started with, each `key=value`; null when there is none. */
  Labels?: string[] | null;
}

/** How the engine treats registries. */
export interface RegistryConfig {
  /** Networks whose registries are trusted without a valid certificate, in CIDR form. */
  InsecureRegistryCIDRs?: string[];
  /** Registries that have settings of their own, by host name. */
  IndexConfigs?: Record<string, IndexConfig>;
  /** Mirrors of the public index; null when there is none. */
  Mirrors?: string[] | null;
}

/** Settings of one registry. */
export interface IndexConfig {
  /** Host name, with the port where there is one. */
  Name?: string;
  /** Addresses that are tried before the registry itself; null when there is none. */
  Mirrors?: string[] | null;
  /** Whether only HTTPS with a valid certificate is accepted. */
  Secure?: boolean;
  /** Whether this is the public index. */
  Official?: boolean;
}

/** What the engine is and what it runs on. */
export interface Version {
  /** Version of the engine. */
  Version?: string;
  /** Newest version of the API that the engine speaks. */
  ApiVersion?: string;
  /** Source revision that the engine was built from. */
  GitCommit?: string;
  /** Version of the Go compiler that built it. */
  GoVersion?: string;
  /** Operating system in Go's spelling. */
  Os?: string;
  /** Processor architecture in Go's spelling. */
  Arch?: string;
  /** Release of the running kernel. */
  KernelVersion?: string;
  /** When the engine was built, in the form of `date -u`, for example `Sat Nov 21 00:03:47 UTC 2026`. */
  BuildTime?: string;
}

export type QueryParamsType = Record<string | number, any>;
export type ResponseFormat = keyof Omit<Body, "body" | "bodyUsed">;

export interface FullRequestParams extends Omit<RequestInit, "body"> {
  /** set parameter to `true` for call `securityWorker` for this request */
  secure?: boolean;
  /** request path */
  path: string;
  /** content type of request body */
  type?: ContentType;
  /** query params */
  query?: QueryParamsType;
  /** format of response (i.e. response.json() -> format: "json") */
  format?: ResponseFormat;
  /** request body */
  body?: unknown;
  /** base url */
  baseUrl?: string;
  /** request cancellation token */
  cancelToken?: CancelToken;
}

export type RequestParams = Omit<
  FullRequestParams,
  "body" | "method" | "query" | "path"
>;

export interface ApiConfig<SecurityDataType = unknown> {
  baseUrl?: string;
  baseApiParams?: Omit<RequestParams, "baseUrl" | "cancelToken" | "signal">;
  securityWorker?: (
    securityData: SecurityDataType | null,
  ) => Promise<RequestParams | void> | RequestParams | void;
  customFetch?: typeof fetch;
}

export interface HttpResponse<D extends unknown, E extends unknown = unknown>
  extends Response {
  data: D;
  error: E;
}

type CancelToken = Symbol | string | number;

export enum ContentType {
  Json = "application/json",
  JsonApi = "application/vnd.api+json",
  FormData = "multipart/form-data",
  UrlEncoded = "application/x-www-form-urlencoded",
  Text = "text/plain",
}

export class HttpClient<SecurityDataType = unknown> {
  public baseUrl: string = "/v1.18";
  private securityData: SecurityDataType | null = null;
  private securityWorker?: ApiConfig<SecurityDataType>["securityWorker"];
  private abortControllers = new Map<CancelToken, AbortController>();
  private customFetch = (...fetchParams: Parameters<typeof fetch>) =>
    fetch(...fetchParams);

  private baseApiParams: RequestParams = {
    credentials: "same-origin",
    headers: {},
    redirect: "follow",
    referrerPolicy: "no-referrer",
  };

  constructor(apiConfig: ApiConfig<SecurityDataType> = {}) {
    Object.assign(this, apiConfig);
  }

  public setSecurityData = (data: SecurityDataType | null) => {
    this.securityData = data;
  };

  protected encodeQueryParam(key: string, value: any) {
    const encodedKey = encodeURIComponent(key);
    return `${encodedKey}=${encodeURIComponent(typeof value === "number" ? value : `${value}`)}`;
  }

  protected addQueryParam(query: QueryParamsType, key: string) {
    return this.encodeQueryParam(key, query[key]);
  }

  protected addArrayQueryParam(query: QueryParamsType, key: string) {
    const value = query[key];
    return value.map((v: any) => this.encodeQueryParam(key, v)).join("&");
  }

  protected toQueryString(rawQuery?: QueryParamsType): string {
    const query = rawQuery || {};
    const keys = Object.keys(query).filter(
      (key) => "undefined" !== typeof query[key],
    );
    return keys
      .map((key) =>
        Array.isArray(query[key])
          ? this.addArrayQueryParam(query, key)
          : this.addQueryParam(query, key),
      )
      .join("&");
  }

  protected addQueryParams(rawQuery?: QueryParamsType): string {
    const queryString = this.toQueryString(rawQuery);
    return queryString ? `?${queryString}` : "";
  }

  private contentFormatters: Record<ContentType, (input: any) => any> = {
    [ContentType.Json]: (input: any) =>
      input !== null && (typeof input === "object" || typeof input === "string")
        ? JSON.stringify(input)
        : input,
    [ContentType.JsonApi]: (input: any) =>
      input !== null && (typeof input === "object" || typeof input === "string")
        ? JSON.stringify(input)
        : input,
    [ContentType.Text]: (input: any) =>
      input !== null && typeof input !== "string"
        ? JSON.stringify(input)
        : input,
    [ContentType.FormData]: (input: any) => {
      if (input instanceof FormData) {
        return input;
      }

      return Object.keys(input || {}).reduce((formData, key) => {
        const property = input[key];
        formData.append(
          key,
          property instanceof Blob
            ? property
            : typeof property === "object" && property !== null
              ? JSON.stringify(property)
              : `${property}`,
        );
        return formData;
      }, new FormData());
    },
    [ContentType.UrlEncoded]: (input: any) => this.toQueryString(input),
  };

  protected mergeRequestParams(
    params1: RequestParams,
    params2?: RequestParams,
  ): RequestParams {
    return {
      ...this.baseApiParams,
      ...params1,
      ...(params2 || {}),
      headers: {
        ...(this.baseApiParams.headers || {}),
        ...(params1.headers || {}),
        ...((params2 && params2.headers) || {}),
      },
    };
  }

  protected createAbortSignal = (
    cancelToken: CancelToken,
  ): AbortSignal | undefined => {
    if (this.abortControllers.has(cancelToken)) {
      const abortController = this.abortControllers.get(cancelToken);
      if (abortController) {
        return abortController.signal;
      }
      return void 0;
    }

    const abortController = new AbortController();
    this.abortControllers.set(cancelToken, abortController);
    return abortController.signal;
  };

  public abortRequest = (cancelToken: CancelToken) => {
    const abortController = this.abortControllers.get(cancelToken);

    if (abortController) {
      abortController.abort();
      this.abortControllers.delete(cancelToken);
    }
  };

  public request = async <T = any, E = any>({
    body,
    secure,
    path,
    type,
    query,
    format,
    baseUrl,
    cancelToken,
    ...params
  }: FullRequestParams): Promise<HttpResponse<T, E>> => {
    const secureParams =
      ((typeof secure === "boolean" ? secure : this.baseApiParams.secure) &&
        this.securityWorker &&
        (await this.securityWorker(this.securityData))) ||
      {};
    const requestParams = this.mergeRequestParams(params, secureParams);
    const queryString = query && this.toQueryString(query);
    const payloadFormatter = this.contentFormatters[type || ContentType.Json];
    const responseFormat = format || requestParams.format;

    return this.customFetch(
      `${baseUrl || this.baseUrl || ""}${path}${queryString ? `?${queryString}` : ""}`,
      {
        ...requestParams,
        headers: {
          ...(requestParams.headers || {}),
          ...(type && type !== ContentType.FormData
            ? { "Content-Type": type }
            : {}),
        },
        signal:
          (cancelToken
            ? this.createAbortSignal(cancelToken)
            : requestParams.signal) || null,
        body:
          typeof body === "undefined" || body === null
            ? null
            : payloadFormatter(body),
      },
    ).then(async (response) => {
      const r = response as HttpResponse<T, E>;
      r.data = null as unknown as T;
      r.error = null as unknown as E;

      const responseToParse = responseFormat ? response.clone() : response;
      const data = !responseFormat
        ? r
        : await responseToParse[responseFormat]()
            .then((data) => {
              if (r.ok) {
                r.data = data;
              } else {
                r.error = data;
              }
              return r;
            })
            .catch((e) => {
              r.error = e;
              return r;
            });

      if (cancelToken) {
        this.abortControllers.delete(cancelToken);
      }

      if (!response.ok) throw data;
      return data;
    });
  };
}

/**
 * @title Docker Remote API
 * @version 1.18
 * @baseUrl /v1.18
 *
 * The HTTP API that container clients and engines speak.
 *
 * **Versions.** Every path may stand behind a prefix that names the version, as in `/v1.18/info`; without one the
 * engine answers in the newest version that it speaks. A request for a newer version than that is refused with 400
 * and a text that names both versions. Every answer carries the newest version in `Api-Version`.
 *
 * **Open schema.** Unknown properties in a request are ignored, and a client has to expect properties that it does not
 * know. Names of properties in requests match whatever their case.
 *
 * **Errors.** A status of 400 or more has a body of type `text/plain`: one line that says what is wrong, ended by a
 * newline. There is no error model in JSON.
 *
 * **Booleans in a query** are true unless they are empty, `0`, `no`, `false` or `none`, in any case. Parameters of a
 * query may also be sent as a form (`application/x-www-form-urlencoded`) in a body that has no other use.
 *
 * **Filters in a query** are JSON: a map from a filter's name to a list of values.
 *
 * **Names.** Containers go by id, unambiguous prefix of an id, or name; images by id, prefix, or
 * `[registry/]repository[:tag|@digest]`. An image's name may hold slashes, which are not escaped.
 *
 * **Streams.** Progress (build, pull, push, events) is a sequence of JSON objects, one after the other, in an answer
 * that is open until the work is done. Once such an answer has begun its status is 200: what goes wrong later is an
 * object with `error` and `errorDetail`.
 *
 * **Hijacking.** Attach and exec start turn the connection into a raw one in both directions after the answer's
 * headers: with `Upgrade: tcp` and `Connection: Upgrade` in the request the status is 101, without them 200. With a
 * terminal the bytes are the terminal's; without one the engine's side comes in frames: one byte that names the stream
 * (0 stdin, 1 stdout, 2 stderr), three zero bytes, four bytes with the payload's length (big endian), the payload. Either side may
 * close its half and go on reading.
 *
 * **Registry credentials** come with each request: base64 (URL alphabet) of a JSON object, in `X-Registry-Auth` for one registry and in
 * `X-Registry-Config` for several.
 */
export class Api<
  SecurityDataType extends unknown,
> extends HttpClient<SecurityDataType> {
  containers = {
    /**
     * @description Lists containers, the newest first. Without a parameter that says otherwise only running containers are listed, the paused among them.
     *
     * @tags Containers
     * @name ContainerList
     * @summary List containers
     * @request GET:/containers/json
     */
    containerList: (
      query?: {
        /**
         * Whether to list containers that are not running, too.
         * @default false
         */
        all?: boolean;
        /**
         * List this many of the newest containers, running or not. 0, a negative number and nothing set no bound.
         * @format int64
         */
        limit?: number;
        /** List only containers that are newer than this one (id or name), running or not. */
        since?: string;
        /** List only containers that are older than this one (id or name), running or not. */
        before?: string;
        /**
         * Whether to count the bytes of each container's files, which takes time.
         * @default false
         */
        size?: boolean;
        /** A JSON object of filter names and lists of values. A container is listed when it meets one value of every name; of labels it has to meet all. */
        filters?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<ContainerSummary[], string>({
        path: `/containers/json`,
        method: "GET",
        query: query,
        format: "json",
        ...params,
      }),

    /**
     * @description Makes a container from an image, with a file system, volumes and a name of its own, and does not start it. What the body leaves out comes from the image's configuration and the engine's defaults. The image has to be there, it is not pulled. Unknown properties are ignored.
     *
     * @tags Containers
     * @name ContainerCreate
     * @summary Create a container
     * @request POST:/containers/create
     */
    containerCreate: (
      config: ContainerCreateRequest,
      query?: {
        /** Name of the container, with or without a slash before it; letters, digits, underscores and hyphens. Engines allow full stops as well, and want a letter or digit first and at least two characters. Without it the engine makes one up. */
        name?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<ContainerCreateResponse, string>({
        path: `/containers/create`,
        method: "POST",
        query: query,
        body: config,
        type: ContentType.Json,
        format: "json",
        ...params,
      }),

    /**
     * @description Answers with everything that the engine knows of a container.
     *
     * @tags Containers
     * @name ContainerInspect
     * @summary Inspect a container
     * @request GET:/containers/{name}/json
     */
    containerInspect: (name: string, params: RequestParams = {}) =>
      this.request<ContainerInspect, string>({
        path: `/containers/${name}/json`,
        method: "GET",
        format: "json",
        ...params,
      }),

    /**
     * @description Runs ps with the given arguments on the host and answers with those of its rows that belong to the container. The process ids are those of the host. Unix only.
     *
     * @tags Containers
     * @name ContainerTop
     * @summary List the processes of a container
     * @request GET:/containers/{name}/top
     */
    containerTop: (
      name: string,
      query?: {
        /**
         * Arguments of ps, for example `aux`. Their output must have a PID column.
         * @default "-ef"
         */
        ps_args?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<ContainerTopResponse, string>({
        path: `/containers/${name}/top`,
        method: "GET",
        query: query,
        format: "json",
        ...params,
      }),

    /**
     * @description Sends the container's standard output and standard error from its log and, if asked, goes on as the container writes more. The body has the framing of attach: frames that name their stream for a container without a terminal, the bare bytes of the terminal for one with a terminal. Containers whose logging driver keeps nothing that can be read back have no logs to show; json-file and journald have.
     *
     * @tags Containers
     * @name ContainerLogs
     * @summary Read what a container has written
     * @request GET:/containers/{name}/logs
     */
    containerLogs: (
      name: string,
      query?: {
        /**
         * Keep the answer open and send what the container writes until it stops.
         * @default false
         */
        follow?: boolean;
        /**
         * Include standard output. At least one of stdout and stderr must be true.
         * @default false
         */
        stdout?: boolean;
        /**
         * Include standard error.
         * @default false
         */
        stderr?: boolean;
        /**
         * Put the moment at which a line was written, RFC 3339 with nine digits of a second, and a blank before every line.
         * @default false
         */
        timestamps?: boolean;
        /**
         * How many lines from the end of the log to begin with, a decimal number; `all`, and everything that is no number, means from the beginning.
         * @default "all"
         */
        tail?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/containers/${name}/logs`,
        method: "GET",
        query: query,
        ...params,
      }),

    /**
     * @description Compares the container's filesystem with that of its image and lists the paths that were added, modified and deleted. A directory counts as modified when something in it was added or deleted. Volumes and other mounts are not looked into.
     *
     * @tags Containers
     * @name ContainerChanges
     * @summary List what differs between a container and its image
     * @request GET:/containers/{name}/changes
     */
    containerChanges: (name: string, params: RequestParams = {}) =>
      this.request<ContainerChange[], string>({
        path: `/containers/${name}/changes`,
        method: "GET",
        format: "json",
        ...params,
      }),

    /**
     * @description Sends the container's whole filesystem, image and own changes merged, as one uncompressed tar archive. What is mounted into it (volumes, /proc and the like) appears as empty directories or files.
     *
     * @tags Containers
     * @name ContainerExport
     * @summary Download a container's filesystem
     * @request GET:/containers/{name}/export
     */
    containerExport: (name: string, params: RequestParams = {}) =>
      this.request<Blob, string>({
        path: `/containers/${name}/export`,
        method: "GET",
        ...params,
      }),

    /**
     * @description Sends one JSON object per second with what the container uses, until the client goes away or the container is removed. The objects are not enclosed in an array. The stream of a container that is not running is silent until it runs.
     *
     * @tags Containers
     * @name ContainerStats
     * @summary Watch a container's resource usage
     * @request GET:/containers/{name}/stats
     */
    containerStats: (name: string, params: RequestParams = {}) =>
      this.request<Blob, string>({
        path: `/containers/${name}/stats`,
        method: "GET",
        ...params,
      }),

    /**
     * @description Starts the process of a container and answers when it runs. A body replaces the host settings that the container was created with; no body keeps them.
     *
     * @tags Containers
     * @name ContainerStart
     * @summary Start a container
     * @request POST:/containers/{name}/start
     */
    containerStart: (
      name: string,
      hostConfig: HostConfig,
      params: RequestParams = {},
    ) =>
      this.request<void, void | string>({
        path: `/containers/${name}/start`,
        method: "POST",
        body: hostConfig,
        type: ContentType.Json,
        ...params,
      }),

    /**
     * @description Asks the process of a container to end with SIGTERM, kills it with SIGKILL when it has not ended in time, and answers when it has ended. The restart policy does not start it again.
     *
     * @tags Containers
     * @name ContainerStop
     * @summary Stop a container
     * @request POST:/containers/{name}/stop
     */
    containerStop: (
      name: string,
      query?: {
        /**
         * Seconds to wait before the container is killed. A negative number waits without end. The engine's choice without it is 10.
         * @format int64
         */
        t?: number;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, void | string>({
        path: `/containers/${name}/stop`,
        method: "POST",
        query: query,
        ...params,
      }),

    /**
     * @description Stops a container as stop does, if it is running, and starts it.
     *
     * @tags Containers
     * @name ContainerRestart
     * @summary Restart a container
     * @request POST:/containers/{name}/restart
     */
    containerRestart: (
      name: string,
      query?: {
        /**
         * Seconds to wait before the container is killed. A negative number waits without end. The engine's choice without it is 10.
         * @format int64
         */
        t?: number;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/containers/${name}/restart`,
        method: "POST",
        query: query,
        ...params,
      }),

    /**
     * @description Sends a signal to the process of a container. With SIGKILL it waits until the process has ended. A container that is not running is left as it is.
     *
     * @tags Containers
     * @name ContainerKill
     * @summary Send a signal to a container
     * @request POST:/containers/{name}/kill
     */
    containerKill: (
      name: string,
      query?: {
        /**
         * The signal, its number or its name with or without SIG.
         * @default "SIGKILL"
         */
        signal?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/containers/${name}/kill`,
        method: "POST",
        query: query,
        ...params,
      }),

    /**
     * @description Gives a container another name.
     *
     * @tags Containers
     * @name ContainerRename
     * @summary Rename a container
     * @request POST:/containers/{id}/rename
     */
    containerRename: (
      id: string,
      query: {
        /** The new name, in the form that create takes. An empty one is refused. */
        name: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/containers/${id}/rename`,
        method: "POST",
        query: query,
        ...params,
      }),

    /**
     * @description Freezes all processes of a container.
     *
     * @tags Containers
     * @name ContainerPause
     * @summary Pause a container
     * @request POST:/containers/{name}/pause
     */
    containerPause: (name: string, params: RequestParams = {}) =>
      this.request<void, string>({
        path: `/containers/${name}/pause`,
        method: "POST",
        ...params,
      }),

    /**
     * @description Lets the processes of a paused container go on.
     *
     * @tags Containers
     * @name ContainerUnpause
     * @summary Unpause a container
     * @request POST:/containers/{name}/unpause
     */
    containerUnpause: (name: string, params: RequestParams = {}) =>
      this.request<void, string>({
        path: `/containers/${name}/unpause`,
        method: "POST",
        ...params,
      }),

    /**
     * @description Answers with the exit code of a container's process when it is not running; at once for one that has ended or was never started. Status and headers are sent at once in any case.
     *
     * @tags Containers
     * @name ContainerWait
     * @summary Wait for a container
     * @request POST:/containers/{name}/wait
     */
    containerWait: (name: string, params: RequestParams = {}) =>
      this.request<ContainerWaitResponse, string>({
        path: `/containers/${name}/wait`,
        method: "POST",
        format: "json",
        ...params,
      }),

    /**
     * @description Removes a container with its file system, log and name, or a link between two containers.
     *
     * @tags Containers
     * @name ContainerDelete
     * @summary Remove a container
     * @request DELETE:/containers/{name}
     */
    containerDelete: (
      name: string,
      query?: {
        /**
         * Whether to remove the volumes that were made for this container and have no name given by a client.
         * @default false
         */
        v?: boolean;
        /**
         * Whether to kill the container with SIGKILL first if it is running.
         * @default false
         */
        force?: boolean;
        /**
         * Whether to remove the link that name gives, and not the container.
         * @default false
         */
        link?: boolean;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/containers/${name}`,
        method: "DELETE",
        query: query,
        ...params,
      }),

    /**
     * @description Sends a file, or a directory with everything in it, as a tar archive. The entries are named after the last part of the path that was asked for. Volumes of the container are seen.
     *
     * @tags Containers
     * @name ContainerCopy
     * @summary Copy a file or directory out of a container
     * @request POST:/containers/{name}/copy
     */
    containerCopy: (
      name: string,
      resource: CopyConfig,
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/containers/${name}/copy`,
        method: "POST",
        body: resource,
        type: ContentType.Json,
        ...params,
      }),

    /**
     * @description Tells the terminal of a container how large the client's window is. The reference asks for a restart of the container before the size counts; engines pass it to the running processes at once, which learn of it by SIGWINCH.
     *
     * @tags Containers
     * @name ContainerResize
     * @summary Set the size of a container's terminal
     * @request POST:/containers/{name}/resize
     */
    containerResize: (
      name: string,
      query: {
        /**
         * Height, in lines of characters.
         * @format int64
         */
        h: number;
        /**
         * Width, in characters.
         * @format int64
         */
        w: number;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/containers/${name}/resize`,
        method: "POST",
        query: query,
        ...params,
      }),
  };
  images = {
    /**
     * @description Lists images, newest first. Without parameters it lists tagged and dangling images, but no intermediate ones. Any of an image's `RepoTags` or `RepoDigests` can be used as its name in other requests.
     *
     * @tags Images
     * @name ImageList
     * @summary List images
     * @request GET:/images/json
     */
    imageList: (
      query?: {
        /**
         * List intermediate images too.
         * @default false
         */
        all?: boolean;
        /** Conditions as a JSON map from key to a list of values, for example `{"dangling":["true"]}`. Values of one key are alternatives, keys must all match; for `label` all values must match. */
        filters?: string;
        /** Only images of this repository; shell wildcards are allowed, and a tag may follow. */
        filter?: string;
        /**
         * Ask for `RepoDigests`. They are in the answer anyway.
         * @default false
         */
        digests?: boolean;
      },
      params: RequestParams = {},
    ) =>
      this.request<ImageSummary[], string>({
        path: `/images/json`,
        method: "GET",
        query: query,
        format: "json",
        ...params,
      }),

    /**
     * @description Builds an image from a build context. The body is a tar archive, plain or compressed with gzip, bzip2 or xz, that holds the build file and whatever its instructions copy. The build file is checked as a whole before its instructions run one by one; the stream ends with the id of the new image or with an error. The build is cancelled when the client closes the connection.
     *
     * @tags Images
     * @name ImageBuild
     * @summary Build an image
     * @request POST:/build
     */
    imageBuild: (
      inputStream: BodyInit,
      query?: {
        /**
         * Path of the build file inside the context. Ignored if `remote` names a single file.
         * @default "Dockerfile"
         */
        dockerfile?: string;
        /** Name for the new image, `name` or `name:tag`; the tag is `latest` if left out. */
        t?: string[];
        /** Git or HTTP(S) address to fetch the context from instead of the body. If it leads to a single text file, that file is the build file and the whole context. */
        remote?: string;
        /**
         * Leave out the output of the build's commands.
         * @default false
         */
        q?: boolean;
        /**
         * Run every instruction, even if an earlier build left a matching image.
         * @default false
         */
        nocache?: boolean;
        /**
         * Ask the registry for a newer base image even if there is a local one.
         * @default false
         */
        pull?: boolean;
        /**
         * Remove intermediate containers after a build that succeeds.
         * @default true
         */
        rm?: boolean;
        /**
         * Remove intermediate containers after a failure too; implies `rm`.
         * @default false
         */
        forcerm?: boolean;
        /**
         * Memory limit of each build container in bytes; 0 sets none.
         * @format int64
         * @default 0
         */
        memory?: number;
        /**
         * Limit of memory and swap together in bytes; `-1` leaves swap unlimited, 0 sets no limit of its own.
         * @format int64
         * @default 0
         */
        memswap?: number;
        /**
         * Weight of a build container's share of processor time relative to others; 0 is the kernel's default.
         * @format int64
         * @default 0
         */
        cpushares?: number;
        /** Processors that build containers may run on, for example `0-3` or `0,1`; all if left out. */
        cpusetcpus?: string;
        /** Memory nodes that build containers may use, for example `0-3` or `0,1`; all if left out. */
        cpusetmems?: string;
        /** Control group below which those of the build containers are made. */
        cgroupparent?: string;
        /** Resource limits of build containers, a JSON list of `{"Name":…,"Soft":…,"Hard":…}`. */
        ulimits?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/build`,
        method: "POST",
        query: query,
        body: inputStream,
        ...params,
      }),

    /**
     * @description Pulls an image from a registry (`fromImage`) or makes one of a file system archive (`fromSrc`). Exactly one of the two is given. For a pull, the header `X-Registry-Auth` may carry credentials.
     *
     * @tags Images
     * @name ImageCreate
     * @summary Pull or import an image
     * @request POST:/images/create
     */
    imageCreate: (
      inputImage: BodyInit,
      query?: {
        /** Name of the image to pull; registry host, tag and digest may be part of it. */
        fromImage?: string;
        /** Address of the archive to import, or `-` for the request's body. */
        fromSrc?: string;
        /** Repository to put an imported image in. */
        repo?: string;
        /** Tag to pull, or the tag for an imported image. A pull without it, and without one in `fromImage`, fetches every tag of the repository. */
        tag?: string;
        /** Comment to record in an imported image. */
        message?: string;
        /** Build instructions to apply to an imported image's configuration, one in each value. */
        changes?: string[];
      },
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/images/create`,
        method: "POST",
        query: query,
        body: inputImage,
        type: ContentType.Json,
        ...params,
      }),

    /**
     * @description Returns everything known about one image.
     *
     * @tags Images
     * @name ImageInspect
     * @summary Inspect an image
     * @request GET:/images/{name}/json
     */
    imageInspect: (name: string, params: RequestParams = {}) =>
      this.request<ImageInspect, string>({
        path: `/images/${name}/json`,
        method: "GET",
        format: "json",
        ...params,
      }),

    /**
     * @description Returns the steps that an image consists of, newest first.
     *
     * @tags Images
     * @name ImageHistory
     * @summary Show how an image came about
     * @request GET:/images/{name}/history
     */
    imageHistory: (name: string, params: RequestParams = {}) =>
      this.request<ImageHistoryItem[], string>({
        path: `/images/${name}/history`,
        method: "GET",
        format: "json",
        ...params,
      }),

    /**
     * @description Pushes an image to the registry that its name begins with, or to the public index if the name has no host. An image for a private registry is therefore tagged with that registry's host and port first, and that name is used here.
     *
     * @tags Images
     * @name ImagePush
     * @summary Push an image to its registry
     * @request POST:/images/{name}/push
     */
    imagePush: (
      name: string,
      authConfig: AuthConfig,
      query?: {
        /** Tag to push; all tags of the repository if left out. */
        tag?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/images/${name}/push`,
        method: "POST",
        query: query,
        body: authConfig,
        type: ContentType.Json,
        ...params,
      }),

    /**
     * @description Adds a name to an image.
     *
     * @tags Images
     * @name ImageTag
     * @summary Give an image a name
     * @request POST:/images/{name}/tag
     */
    imageTag: (
      name: string,
      query?: {
        /** Repository of the new name, with registry host and port where it is to be pushed to one. */
        repo?: string;
        /**
         * Take the name from the image that has it now.
         * @default false
         */
        force?: boolean;
        /** Tag of the new name; `latest` if left out. */
        tag?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/images/${name}/tag`,
        method: "POST",
        query: query,
        ...params,
      }),

    /**
     * @description Takes a name from an image and deletes the image with its untagged parents once nothing refers to it. Given an id, it takes all names.
     *
     * @tags Images
     * @name ImageDelete
     * @summary Remove an image
     * @request DELETE:/images/{name}
     */
    imageDelete: (
      name: string,
      query?: {
        /**
         * Remove the image even if it has several names or stopped containers use it.
         * @default false
         */
        force?: boolean;
        /**
         * Keep untagged parents.
         * @default false
         */
        noprune?: boolean;
      },
      params: RequestParams = {},
    ) =>
      this.request<ImageDeleteItem[], string>({
        path: `/images/${name}`,
        method: "DELETE",
        query: query,
        format: "json",
        ...params,
      }),

    /**
     * @description Searches the public index, or the registry whose host the term begins with. The items are those the registry answered.
     *
     * @tags Images
     * @name ImageSearch
     * @summary Search a registry's index
     * @request GET:/images/search
     */
    imageSearch: (
      query?: {
        /** Text to look for, with a registry's host and a slash in front to search there. */
        term?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<SearchResult[], string>({
        path: `/images/search`,
        method: "GET",
        query: query,
        format: "json",
        ...params,
      }),
  };
  misc = {
    /**
     * @description Tries credentials against a registry. They are not stored.
     *
     * @tags Misc
     * @name SystemAuth
     * @summary Check credentials
     * @request POST:/auth
     */
    systemAuth: (authConfig: AuthConfig, params: RequestParams = {}) =>
      this.request<AuthResponse, string>({
        path: `/auth`,
        method: "POST",
        body: authConfig,
        type: ContentType.Json,
        format: "json",
        ...params,
      }),

    /**
     * @description Returns counts, settings and abilities of the engine and facts about its host.
     *
     * @tags Misc
     * @name SystemInfo
     * @summary Describe the engine and its host
     * @request GET:/info
     */
    systemInfo: (params: RequestParams = {}) =>
      this.request<Info, string>({
        path: `/info`,
        method: "GET",
        format: "json",
        ...params,
      }),

    /**
     * @description Returns the versions of the engine, the API, the compiler and the kernel.
     *
     * @tags Misc
     * @name SystemVersion
     * @summary Show versions
     * @request GET:/version
     */
    systemVersion: (params: RequestParams = {}) =>
      this.request<Version, string>({
        path: `/version`,
        method: "GET",
        format: "json",
        ...params,
      }),

    /**
     * @description Answers the two letters `OK`, without a line end.
     *
     * @tags Misc
     * @name SystemPing
     * @summary Ask whether the engine answers
     * @request GET:/_ping
     */
    systemPing: (params: RequestParams = {}) =>
      this.request<string, string>({
        path: `/_ping`,
        method: "GET",
        ...params,
      }),

    /**
     * @description Makes an image of a container's file system and configuration. Fields of the body take precedence over the container's own configuration.
     *
     * @tags Misc
     * @name ImageCommit
     * @summary Make an image of a container
     * @request POST:/commit
     */
    imageCommit: (
      config: ContainerConfig,
      query?: {
        /** Id or name of the container. */
        container?: string;
        /** Repository to put the image in; the image stays unnamed if left out. */
        repo?: string;
        /** Tag in that repository; `latest` if left out. */
        tag?: string;
        /** Message to record in the image. */
        comment?: string;
        /** Author to record in the image, for example `Jane Roe <jane@example.com>`. */
        author?: string;
        /**
         * Pause the container while its file system is read.
         * @default true
         */
        pause?: boolean;
        /** Build instructions to apply to the image's configuration, one in each value or line. */
        changes?: string[];
      },
      params: RequestParams = {},
    ) =>
      this.request<CommitResponse, string>({
        path: `/commit`,
        method: "POST",
        query: query,
        body: config,
        type: ContentType.Json,
        format: "json",
        ...params,
      }),

    /**
     * @description Sends one JSON object for everything that happens to a container or an image, as it happens; with since also what happened before. The objects are not enclosed in an array. Events of containers are create, destroy, die, exec_create, exec_start, export, kill, oom, pause, restart, start, stop and unpause. Events of images are untag and delete.
     *
     * @tags Misc
     * @name SystemEvents
     * @summary Watch what happens
     * @request GET:/events
     */
    systemEvents: (
      query?: {
        /** Send first the events since this moment, seconds since 1970-01-01 UTC, with a decimal fraction if need be. Without it the stream begins now. */
        since?: string;
        /** Send the events up to this moment, in the form of since, and end. Without it the stream goes on until the client goes away. */
        until?: string;
        /** A JSON object of lists of strings, for example `{"event":["die","stop"]}`. An event is sent when for every key it matches one of the values. */
        filters?: string;
      },
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/events`,
        method: "GET",
        query: query,
        ...params,
      }),

    /**
     * @description Returns a tar archive of an image and its parents, or of all images of a repository. Given an id, the archive has no file `repositories`, because no name was asked for.
     *
     * @tags Misc
     * @name ImageGet
     * @summary Save one image or repository
     * @request GET:/images/{name}/get
     */
    imageGet: (name: string, params: RequestParams = {}) =>
      this.request<Blob, string>({
        path: `/images/${name}/get`,
        method: "GET",
        ...params,
      }),

    /**
     * @description Returns one tar archive of several images and repositories, in the format of the archive of a single one. Images that are named by id are not in its file `repositories`.
     *
     * @tags Misc
     * @name ImageGetAll
     * @summary Save several images
     * @request GET:/images/get
     */
    imageGetAll: (
      query?: {
        /** Image to save, as for the archive of a single one. Given once for each image. */
        names?: string[];
      },
      params: RequestParams = {},
    ) =>
      this.request<Blob, string>({
        path: `/images/get`,
        method: "GET",
        query: query,
        ...params,
      }),

    /**
     * @description Loads the images and names of a tar archive that a save made, plain or compressed.
     *
     * @tags Misc
     * @name ImageLoad
     * @summary Load saved images
     * @request POST:/images/load
     */
    imageLoad: (inputArchive: BodyInit, params: RequestParams = {}) =>
      this.request<Blob, string>({
        path: `/images/load`,
        method: "POST",
        body: inputArchive,
        ...params,
      }),

    /**
     * @description Sets up an exec instance: a command that is to run beside the first process of a running container. Nothing runs until the instance is started.
     *
     * @tags Misc
     * @name ContainerExec
     * @summary Prepare a command in a container
     * @request POST:/containers/{name}/exec
     */
    containerExec: (
      name: string,
      execConfig: ExecConfig,
      params: RequestParams = {},
    ) =>
      this.request<ExecCreateResponse, string>({
        path: `/containers/${name}/exec`,
        method: "POST",
        body: execConfig,
        type: ContentType.Json,
        format: "json",
        ...params,
      }),

    /**
     * @description Tells the terminal of a running exec instance how large the client's window is. Only for instances created and started with a terminal.
     *
     * @tags Misc
     * @name ExecResize
     * @summary Set the size of a command's terminal
     * @request POST:/exec/{id}/resize
     */
    execResize: (
      id: string,
      query: {
        /**
         * Height, in lines of characters.
         * @format int64
         */
        h: number;
        /**
         * Width, in characters.
         * @format int64
         */
        w: number;
      },
      params: RequestParams = {},
    ) =>
      this.request<void, string>({
        path: `/exec/${id}/resize`,
        method: "POST",
        query: query,
        type: ContentType.Text,
        ...params,
      }),

    /**
     * @description Tells what the command of an exec instance is, whether it runs and how it ended. An instance is forgotten some time after its end, and with its container.
     *
     * @tags Misc
     * @name ExecInspect
     * @summary Show an exec instance
     * @request GET:/exec/{id}/json
     */
    execInspect: (id: string, params: RequestParams = {}) =>
      this.request<ExecInspect, string>({
        path: `/exec/${id}/json`,
        method: "GET",
        format: "json",
        ...params,
      }),
  };
}
