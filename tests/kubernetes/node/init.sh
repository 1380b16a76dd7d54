#!/bin/bash
# init.sh WORK SYSTEM COMPONENTS CONFIG: the first process of a node. Makes its file system and network, then waits.
# SYSTEM is a directory of unpacked Debian packages, so nothing is installed on this machine and its own programs don't
# matter.
set -eu
work=$1 system=$2 components=$3 config=$4
root=$work/root
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

mkdir "$root"
mount --bind "$root" "$root"
cd "$root"
mkdir bin sbin lib lib64 usr etc dev proc sys run tmp var root opt old
chmod 1777 tmp
for directory in bin sbin lib lib64 usr; do
  mount --bind "$system/$directory" "$directory"
  mount -o remount,bind,ro "$directory"
done
cp -a "$system/etc/." etc
mkdir -p var/lib var/log etc/cni/net.d etc/containerd
cp "$config/containerd.toml" etc/containerd/config.toml
cp "$config/pods.conflist" etc/cni/net.d/
echo root:x:0:0:root:/root:/bin/sh >etc/passwd
echo root:x:0: >etc/group
: >etc/resolv.conf
printf '127.0.0.1 localhost\n192.168.77.1 node-1\n' >etc/hosts

mount -t proc proc proc
mount --rbind /dev dev
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount -t tmpfs tmpfs run
touch opt/kubernetes
mount --bind "$components" opt/kubernetes
mkdir -p ".$work"
mount --bind "$work" ".$work"

# kubelet writes settings of the whole machine: these files take what it writes.
mkdir "$work/sysctl"
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  name=${setting%%=*}
  file=$work/sysctl/${name//\//.}
  echo "${setting##*=}" >"$file"
  mount --bind "$file" "proc/sys/$name"
done

pivot_root . old
# Forgets where the programs of this machine were.
hash -r
cd /
umount -l /old
rmdir /old
mount --make-rshared /
echo node-1 >/proc/sys/kernel/hostname
ip link set lo up
# An address that pods reach and that is on no other machine; both ends of the cable are in this node.
ip link add node0 type veth peer name cable0
ip link set node0 up
ip link set cable0 up
ip address add 192.168.77.1/24 dev node0
ip route add default via 192.168.77.254 dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward
touch "$work/up"
# bash reaps the processes whose parents have exited.
exec bash -c 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done'
