#!/bin/bash
# up.sh WORK SYSTEM COMPONENTS CONFIG CGROUP: a machine of namespaces, until stdin ends. Prints "up PID" with the process
# ID of its first process. Whoever holds the other end of stdin may be killed: this process is in a session of its own,
# ends the machine and removes what the machine's end does not: the cgroups and WORK.
set -eu
work=$1 system=$2 components=$3 config=$4 cgroup=$5

hierarchies=$(awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) ~ /^cgroup2?$/) print $5 }' /proc/self/mountinfo)

for hierarchy in $hierarchies; do
  mkdir "$hierarchy/$cgroup"
  # A new cpuset has no processors, so that nothing can be started in it.
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$hierarchy/$file" ]; then cat "$hierarchy/$file" >"$hierarchy/$cgroup/$file"; fi
  done
done

# The kernel removes the cgroup of a process that was killed a moment later.
remove_cgroups() {
  for attempt in $(seq 100); do
    left=
    for hierarchy in $hierarchies; do
      [ -d "$hierarchy/$cgroup" ] || continue
      find "$hierarchy/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || left=yes
    done
    [ -n "$left" ] || return 0
    sleep 0.05
  done
}

unshare --net --mount --pid --uts --ipc --fork --kill-child --propagation private \
  bash "$(dirname "$0")/init.sh" "$work" "$system" "$components" "$config" </dev/null >"$work/init.log" 2>&1 &
outer=$!
finish() {
  kill -KILL "$outer" 2>/dev/null || true
  wait "$outer" 2>/dev/null || true
  remove_cgroups
  rm -rf --one-file-system "$work"
}
trap finish EXIT

while [ ! -e "$work/up" ] && kill -0 "$outer" 2>/dev/null; do sleep 0.02; done
if [ ! -e "$work/up" ]; then
  echo "failed $(tr '\n' ' ' <"$work/init.log")"
  exit 1
fi
echo "up $(tr -d ' ' </proc/$outer/task/$outer/children)"
while read -r _; do :; done
