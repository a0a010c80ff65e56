#!/bin/bash
# First process of a node: gives it /proc, /sys, cgroups, /run and the folders that kubelet and containerd keep to themselves,
# then waits and reaps what the pods leave. Started in new mount, network, PID, UTS and cgroup namespaces; $1 is the node's
# name, $2 its folder. Writes its process id, as the host counts, to $2/init.pid when all is there.
set -eu
name=$1 folder=$2
read -r pid _ </proc/self/stat # /proc is still the host's: this is `read` in the shell itself
hostname "$name"
mount --make-rprivate /

# What kubelet wants of the machine is shown to it as already so: these are the machine's, and it would write them.
pretend() {
  mkdir -p "$folder/sysctl/${1%/*}"
  echo "$2" >"$folder/sysctl/$1"
  mount --bind "$folder/sysctl/$1" "/proc/sys/$1"
}
mount -t proc proc /proc
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

mount -t sysfs sysfs /sys
if [ -n "${CGROUP2:-}" ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
  # Processes and children cannot be in one cgroup (version 2), and kubelet makes children of the top.
  mkdir -p /sys/fs/cgroup/init
  echo 0 >/sys/fs/cgroup/init/cgroup.procs
  sed 's/[^ ]\+/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
    mkdir "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
  done
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/containerd /run/lock
own() {
  mkdir -p "$folder/own$1" "$1"
  mount --bind "$folder/own$1" "$1"
}
for path in /var/lib/kubelet /var/lib/containerd /var/lib/cni /etc/cni/net.d /opt/cni/bin /var/log; do own "$path"; done
# Pods that ask for mount propagation get it.
mount --make-rshared /
ip link set lo up
sysctl -qw net.ipv4.ip_forward=1

echo "$pid" >"$folder/init.pid.new"
mv "$folder/init.pid.new" "$folder/init.pid"
while :; do
  sleep 3600 &
  wait
done
