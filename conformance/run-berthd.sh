#!/usr/bin/env bash
# Runs the conformance suite against bin/berthd: a daemon of its own, with roots
# in a temporary directory and a network namespace of its own, so that nothing of
# the machine is touched and nothing stays. Needs root. Arguments go to
# bin/berth-conformance, after those that this script sets.
set -euo pipefail
cd "$(dirname "$0")/.."

report=${REPORT:-reports/conformance}
dir=$(mktemp -d "${TMPDIR:-/tmp}/berth-conformance.XXXXXX")
net=bc-$$
daemon= docker= reference=()

cleanup() {
	if [[ -n $docker ]] && kill -0 "$docker" 2>/dev/null; then
		kill "$docker"
		wait "$docker" || true
	fi
	if [[ -n $daemon ]] && kill -0 "$daemon" 2>/dev/null; then
		kill "$daemon"
		wait "$daemon" || true
	fi
	# A case that was cut short may have left a container: its processes, its
	# monitor (which names the directory), its mounts.
	local file pid mount
	while read -r file; do
		while read -r pid; do kill -9 "$pid" 2>/dev/null || true; done <"$file"
	done < <(find /sys/fs/cgroup -path "*/berth-$net*/cgroup.procs" 2>/dev/null)
	for file in /proc/[0-9]*/cmdline; do
		pid=${file#/proc/} pid=${pid%/cmdline}
		if [[ $pid != "$$" ]] && { tr '\0' ' ' <"$file"; } 2>/dev/null | grep -q "^berth-.* $dir/"; then kill "$pid" 2>/dev/null || true; fi
	done
	sleep 0.2
	awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount "$mount" || true; done
	ip netns delete "$net" 2>/dev/null || true
	# The daemon keeps the parent of its containers' cgroups.
	find /sys/fs/cgroup -depth -type d -path "*/berth-$net*" -exec rmdir {} + 2>/dev/null || true
	# What is still mounted below the directory would be deleted with it.
	if grep -q " $dir/" /proc/self/mountinfo; then
		echo "mounts are left below $dir; it stays" >&2
	else
		rm -rf "$dir"
	fi
}
trap cleanup EXIT

ip netns add "$net"
# nsenter, not `ip netns exec`: that would hide the cgroup mounts.
nsenter --net="/run/netns/$net" ip link set lo up
nsenter --net="/run/netns/$net" sysctl -qw net.ipv4.ip_forward=1
nsenter --net="/run/netns/$net" bin/berthd --data-root "$dir/data" --exec-root "$dir/exec" \
	--pidfile "$dir/pid" --cgroup-parent "/berth-$net" -H "unix://$dir/sock" >"$dir/log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
	[[ -S $dir/sock ]] && break
	kill -0 "$daemon" 2>/dev/null || { cat "$dir/log" >&2; exit 2; }
	sleep 0.1
done

if [[ ${REFERENCE:-} == docker ]]; then
	mkdir "$dir/docker"
	echo '{}' >"$dir/docker/daemon.json"
	nsenter --net="/run/netns/$net" dockerd --config-file "$dir/docker/daemon.json" --data-root "$dir/docker/data" \
		--exec-root "$dir/docker/exec" --pidfile "$dir/docker/pid" --cgroup-parent "/berth-$net-docker" \
		-H "unix://$dir/docker/sock" >"$dir/docker/log" 2>&1 &
	docker=$!
	for _ in $(seq 300); do
		[[ -S $dir/docker/sock ]] && break
		kill -0 "$docker" 2>/dev/null || { cat "$dir/docker/log" >&2; exit 2; }
		sleep 0.1
	done
	reference=(--reference "unix://$dir/docker/sock")
fi

status=0
nsenter --net="/run/netns/$net" bin/berth-conformance --host "unix://$dir/sock" \
	--expected-reds conformance/expected-reds.yaml --report "$report" "${reference[@]}" "$@" || status=$?
mkdir -p "$report"
cp "$dir/log" "$report/berthd.log"
exit "$status"
