#!/usr/bin/env bash
# Runs the conformance suite against other engines as they are: Docker Engine
# (Debian's docker.io) and Podman, each with roots in a temporary directory and a
# network namespace of its own, so that nothing of the machine is touched and
# nothing stays. Needs root. Reports go to reports/conformance-docker and
# reports/conformance-podman. Arguments go to bin/berth-conformance. PEERS names
# the engines, "docker podman" without it.
set -uo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-peers.XXXXXX")
# Podman's parent of cgroups has one name on a machine: it is removed if it is new.
parents() { find /sys/fs/cgroup -maxdepth 2 -type d -name libpod_parent 2>/dev/null; }
parents_before=$(parents)
pids=() nets=()

stop() {
	local pid
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	pids=()
}

cleanup() {
	stop
	local net mount
	for net in "${nets[@]}"; do ip netns delete "$net" 2>/dev/null; done
	# Deepest first; an engine that was stopped leaves some of its mounts.
	awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount "$mount"; done
	rm -rf "$dir" 2>/dev/null || echo "left: $dir" >&2
	find /sys/fs/cgroup -depth -type d -path "*/berth-peer-$$*" -exec rmdir {} + 2>/dev/null
	if [[ -z $parents_before ]]; then
		find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2>/dev/null
	fi
	true
}
trap cleanup EXIT

# namespace NAME makes a network namespace with a loopback device.
namespace() {
	ip netns add "$1" && nets+=("$1")
	nsenter --net="/run/netns/$1" ip link set lo up
	nsenter --net="/run/netns/$1" sysctl -qw net.ipv4.ip_forward=1
}

# await SOCKET PID LOG waits until an engine listens.
await() {
	for _ in $(seq 300); do
		[[ -S $1 ]] && curl -fsS --unix-socket "$1" -o /dev/null http://localhost/_ping 2>/dev/null && return
		kill -0 "$2" 2>/dev/null || break
		sleep 0.1
	done
	echo "the engine did not come up; its log ends:" >&2
	tail -n 20 "$3" >&2
	return 1
}

# ask NAME NET SOCKET ARGUMENT... runs the suite.
ask() {
	local name=$1 net=$2 socket=$3
	shift 3
	echo "== $name"
	nsenter --net="/run/netns/$net" bin/berth-conformance --host "unix://$socket" --timeout 15s \
		--report "reports/conformance-$name" "$@" >"$dir/$name.out"
	local status=$?
	sed -n '/^version/,$p' "$dir/$name.out"
	# 0, 1 and 3 are results; 2 is a suite that could not run.
	[[ $status -ne 2 ]]
}

docker() {
	local net=bpd-$$
	namespace "$net"
	mkdir -p "$dir/docker"
	echo '{}' >"$dir/docker/daemon.json"
	nsenter --net="/run/netns/$net" dockerd --config-file "$dir/docker/daemon.json" --data-root "$dir/docker/data" \
		--exec-root "$dir/docker/exec" --pidfile "$dir/docker/pid" --cgroup-parent "/berth-peer-$$" \
		-H "unix://$dir/docker/sock" >"$dir/docker/log" 2>&1 &
	pids+=($!)
	await "$dir/docker/sock" $! "$dir/docker/log" && ask docker "$net" "$dir/docker/sock" "$@"
}

podman() {
	local net=bpp-$$
	namespace "$net"
	mkdir -p "$dir/podman"
	# Its own default limits need a capability that a restricted machine lacks.
	# And its networks would be files in /etc.
	mkdir -p "$dir/podman/networks"
	printf '[containers]\ndefault_ulimits = ["nofile=%s:%s", "nproc=%s:%s"]\n[network]\nnetwork_config_dir = "%s"\n' \
		"$(ulimit -Sn)" "$(ulimit -Hn)" "$(ulimit -Su)" "$(ulimit -Hu)" "$dir/podman/networks" >"$dir/podman/containers.conf"
	CONTAINERS_CONF="$dir/podman/containers.conf" nsenter --net="/run/netns/$net" /usr/bin/podman --root "$dir/podman/data" \
		--runroot "$dir/podman/run" --cgroup-manager cgroupfs system service --time=0 "unix://$dir/podman/sock" >"$dir/podman/log" 2>&1 &
	pids+=($!)
	await "$dir/podman/sock" $! "$dir/podman/log" && ask podman "$net" "$dir/podman/sock" "$@"
}

failed=0
for peer in ${PEERS:-docker podman}; do
	case $peer in
	docker | podman) "$peer" "$@" || failed=1 ;;
	*) echo "unknown peer '$peer': use docker or podman" >&2 && failed=1 ;;
	esac
	stop
done
exit "$failed"
