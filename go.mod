module github.com/seed-50ced230/berth

go 1.26.6

require (
	berth.invalid/libseccomp-golang v0.12.0 // indirect
	github.com/moby/sys/mountinfo v0.7.3 // what is mounted, when it is unmounted
)

require (
	cyphar.com/go-pathrs v0.2.6 // indirect
	github.com/Masterminds/semver/v3 v3.4.0 // indirect
	github.com/Microsoft/go-winio v0.6.3-0.20251027160822-ad3df93bed29 // indirect
	github.com/RackSec/srslog v0.0.0-20180709174129-a4725f04ec91 // syslog over unix, UDP, TCP and TLS in its formats, as Docker Engine sends it
	github.com/aperturerobotics/protobuf-go-lite v0.14.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/checkpoint-restore/go-criu/v8 v8.3.0 // indirect
	github.com/cilium/ebpf v0.17.3 // indirect
	github.com/coder/websocket v1.8.15 // attach over a websocket
	github.com/containerd/console v1.0.5 // terminals: pty pairs, raw mode, resize
	github.com/containerd/continuity v0.5.0 // copies what an image has below a mount point into a new volume
	github.com/containerd/errdefs v1.0.0 // the classes of errors
	github.com/containerd/log v0.2.0 // indirect
	github.com/coreos/go-systemd/v22 v22.7.0 // sockets that systemd passes (fd://), records for its journal
	github.com/cyphar/filepath-securejoin v0.7.0 // paths inside a root that a container may have tampered with
	github.com/distribution/reference v0.6.0 // image names, by their authors' grammar
	github.com/docker/go-connections v0.8.2 // port notation (80/tcp, ranges) and TLS settings as clients know them
	github.com/docker/go-units v0.5.0 // sizes, ulimits and durations as clients write and read them
	github.com/fsnotify/fsnotify v1.10.1 // following a log without polling
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/go-openapi/analysis v1.0.1 // indirect
	github.com/go-openapi/errors v0.22.9 // generated code: errors of binding
	github.com/go-openapi/jsonpointer v1.0.2 // indirect
	github.com/go-openapi/jsonreference v1.0.3 // indirect
	github.com/go-openapi/loads v0.25.3 // indirect
	github.com/go-openapi/runtime v0.33.4 // generated code: binding, content types, the client
	github.com/go-openapi/runtime/server-middleware v0.33.4 // indirect
	github.com/go-openapi/spec v1.0.1 // indirect
	github.com/go-openapi/strfmt v0.27.4 // generated code: formats of strings
	github.com/go-openapi/swag/conv v0.29.2 // generated code: conversion of parameters
	github.com/go-openapi/swag/fileutils v0.29.2 // indirect
	github.com/go-openapi/swag/jsonutils v0.29.2 // indirect
	github.com/go-openapi/swag/loading v0.29.2 // indirect
	github.com/go-openapi/swag/mangling v0.29.2 // indirect
	github.com/go-openapi/swag/pools v0.29.2 // indirect
	github.com/go-openapi/swag/stringutils v0.29.2 // generated code: lists in parameters
	github.com/go-openapi/swag/typeutils v0.29.2 // indirect
	github.com/go-openapi/swag/yamlutils v0.29.2 // indirect
	github.com/go-openapi/validate v1.0.1 // indirect
	github.com/go-task/slim-sprig/v3 v3.0.0 // indirect
	github.com/go-viper/mapstructure/v2 v2.5.0 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/google/nftables v0.3.0 // masquerading and published ports without a program to run
	github.com/google/pprof v0.0.0-20260402051712-545e8a4df936 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/klauspost/compress v1.20.3 // gzip at a fifth of the cost of the standard library, and zstd
	github.com/mdlayher/netlink v1.7.3-0.20250113171957-fbb4dce95f42 // hears when another program changes the nftables rules
	github.com/mdlayher/socket v0.6.0 // indirect
	github.com/moby/go-archive v0.3.3 // changes between directories, and tar archives, as Docker makes them
	github.com/moby/patternmatcher v0.6.1 // .dockerignore
	github.com/moby/profiles/seccomp v0.2.3 // Docker's default seccomp profile
	github.com/moby/sys/capability v0.5.0 // which capabilities the host has to give
	github.com/moby/sys/sequential v0.7.0 // indirect
	github.com/moby/sys/user v0.5.0 // users and groups of a container's own /etc/passwd
	github.com/moby/sys/userns v0.2.1 // indirect
	github.com/mrunalp/fileutils v0.5.1 // indirect
	github.com/oklog/ulid/v2 v2.1.2 // indirect
	github.com/onsi/ginkgo/v2 v2.34.0 // the conformance suite
	github.com/onsi/gomega v1.44.0 // indirect
	github.com/opencontainers/cgroups v0.1.0 // cgroups v1 and v2
	github.com/opencontainers/go-digest v1.0.0 // digests
	github.com/opencontainers/image-spec v1.1.1 // types of OCI images
	github.com/opencontainers/runc v1.5.2 // libcontainer makes the containers
	github.com/opencontainers/runtime-spec v1.3.0 // types that libcontainer takes (hooks, devices, resources)
	github.com/opencontainers/selinux v1.15.1 // indirect
	github.com/seccomp/libseccomp-golang v0.12.0 // compiles seccomp filters; impl/runtime/libseccomp stands in for it and keeps what it compiled
	github.com/sirupsen/logrus v1.10.2 // libcontainer logs with it; the shim silences it
	github.com/spf13/pflag v1.0.10 // flags in the form that dockerd has them (-H, --host)
	github.com/vishvananda/netlink v1.3.1 // bridges, veth pairs, addresses, routes
	github.com/vishvananda/netns v0.0.5 // indirect
	go.etcd.io/bbolt v1.5.0 // durable records in transactions
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.47.0 // indirect
	go.opentelemetry.io/otel/log v1.47.0 // indirect
	go.opentelemetry.io/otel/metric v1.47.0 // indirect
	go.opentelemetry.io/otel/trace v1.47.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // YAML of examples and reports
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/net v0.62.0 // DNS messages, for the resolver of user-defined networks; the addresses of datagrams, for relays
	golang.org/x/sync v0.24.0 // groups and semaphores of goroutines
	golang.org/x/sys v0.49.0 // system calls that the standard library lacks
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	oras.land/oras-go/v2 v2.6.4 // the registry protocol: pull, push, resume, verify
)

require (
	github.com/agext/levenshtein v1.2.3 // indirect
	github.com/containerd/typeurl/v2 v2.3.0 // indirect
	github.com/moby/buildkit v0.33.0 // parses Dockerfiles and replaces their variables, by their authors' grammar
	github.com/moby/docker-image-spec v1.3.1 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10 // indirect
	github.com/tonistiigi/go-csvvalue v0.0.0-20240814133006-030d3b2625d0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

require (
	github.com/chromedp/cdproto v0.159.0 // tests: the commands and events of a browser
	github.com/chromedp/chromedp v0.23.0 // tests: reads the documentation in a real browser
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/prometheus/client_golang v1.25.0 // metrics for Prometheus, by its authors
)

require (
	github.com/docker/go-plugins-helpers v0.0.0-20240701071450-45e2431495c8 // plugins of the tests, by the protocol's authors
	github.com/moby/sys/mount v0.3.5 // mount options in the words of mount(8)
)

require github.com/hanwen/go-fuse/v2 v2.12.1 // tests: serves disks that record what the kernel writes, and lose power

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/coreos/go-systemd v0.0.0-20191104093116-d3cd4ed1dbcf // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	golang.org/x/exp v0.0.0-20260603202125-055de637280b // reads the execution traces of which the benchmarks make their profile
)

replace berth.invalid/libseccomp-golang => github.com/seccomp/libseccomp-golang v0.12.0

replace github.com/seccomp/libseccomp-golang => ./impl/runtime/libseccomp
