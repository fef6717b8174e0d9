#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC3043 # busybox knows local
#
# Process 1 of the guest, first in the initramfs, then on the disk. It runs the lines of /rig/list
# (NAME TIMEOUT DIRECTORY COMMAND...) one after the other and reports on the second serial port, in lines
# that start with "@" and a word which only this run knows (rig= on the kernel's command line, as is rigport=).
# tests/vm/run is the other end.

export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TMPDIR=/tmp
export KSCOPE_DATA=/data KSCOPE_BLKDEV=/dev/vdb

mount -t proc proc /proc
port=$(sed 's/.*rigport=\([^ ]*\).*/\1/' /proc/cmdline)
if [ ! -d /rig ]; then
	mount -t devtmpfs devtmpfs /dev
	case $(cat /proc/cmdline) in
	*rig=probe*)
		echo alive >"/dev/$port"
		poweroff -f
		;;
	esac
	modprobe virtio_pci 2>/dev/null # both may be built in
	modprobe virtio_blk 2>/dev/null
	tries=0
	until [ -b /dev/vda ] || [ $tries = 100 ]; do
		sleep 0.05
		tries=$((tries + 1))
	done
	mount -t ext4 /dev/vda /root || poweroff -f
	umount /proc
	mount -o move /dev /root/dev
	exec switch_root /root /sbin/init
fi

mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp /data
mkdir -p /dev/shm /dev/pts /dev/hugepages
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t hugetlbfs hugetlbfs /dev/hugepages
ln -s /proc/self/fd /dev/fd
hostname guest
KSCOPE_SLOW=$(cat /rig/slow)
export KSCOPE_SLOW
ifconfig lo 127.0.0.1
echo 16 >/proc/sys/vm/nr_hugepages
echo 10 >/proc/sys/kernel/hung_task_timeout_secs
echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/test

# udev would load what the processor has instructions for
for m in sha1_ssse3 sha256_ssse3 sha512_ssse3 crc32c_intel; do
	modprobe $m 2>/dev/null
done

word=$(sed 's/.*rig=\([^ ]*\).*/\1/' /proc/cmdline)
modules=$(cat /rig/modules)

if [ "$word" = shell ]; then
	dmesg -n 8
	for m in $modules; do modprobe "$m"; done
	cat /rig/motd
	cd /data && setsid cttyhack sh -l
	poweroff -f
fi

stty -F "/dev/$port" raw -echo
exec 3>"/dev/$port"

report() {
	echo "@$word $*" >&3
}

counters() {
	echo 1 >/proc/sys/vm/stat_refresh
	acquired=$(sed -n 's/^nr_foll_pin_acquired //p' /proc/vmstat)
	released=$(sed -n 's/^nr_foll_pin_released //p' /proc/vmstat)
	pinned=$((acquired - released))
	users=0
	for m in $modules; do
		users=$((users + $(cat "/sys/module/$m/refcnt" 2>/dev/null || echo 0)))
	done
}

# Modules that are built for tests recount what they hold: nothing, between two tests.
recount() {
	local found
	[ -r /sys/module/kscope/parameters/test_check ] || return 0
	found=$(cat /sys/module/kscope/parameters/test_check)
	case $found in
	"ok scopes=0 "*" charged=0/0/0") ;;
	*) echo "$found" | tr '\n' ';' ;;
	esac
}

# A test that was killed may have left somebody stopped at a point of the module, or delays at all of them.
hooks_quiet() {
	local parameters=/sys/module/kscope/parameters
	[ -w $parameters/test_go ] || return 0
	echo 1 >$parameters/test_go
	echo 0 >$parameters/test_seed
	echo 0 >$parameters/test_limit
}

load() {
	local m
	for m in $modules; do
		modprobe "$m" || report "trouble modprobe $m failed"
	done
}

unload() {
	local m reversed=
	for m in $modules; do reversed="$m $reversed"; done
	for m in $reversed; do
		rmmod "$m" || report "trouble rmmod $m failed"
	done
}

# load_instead TEST: the modules that it has of its own have the names of others
load_instead() {
	[ ! -d "/rig/instead/$1" ] || cp -r "/rig/instead/$1/." "/lib/modules/$(uname -r)/updates/"
	load
}

# What the test left running is killed. If it cannot be killed, this waits for ever, and the host sees to it.
run_test() {
	local name=$1 limit=$2 dir=$3 ret tries=0
	shift 3
	echo "rig $word start $name" >/dev/kmsg
	report start "$name" "$limit"
	[ ! -d /rig/instead ] || load_instead "${name#*:}"
	counters
	local pinned_before=$pinned users_before=$users left
	mkfifo /tmp/.out
	cat /tmp/.out >&3 &
	(
		echo 0 >/sys/fs/cgroup/test/cgroup.procs
		cd "$dir" || exit 127
		PATH=$dir:$PATH exec timeout -s KILL "$limit" sh -c "$*" 3>&-
	) </dev/null >/tmp/.out 2>&1
	ret=$?
	echo 1 >/sys/fs/cgroup/test/cgroup.kill
	hooks_quiet
	wait
	rm -f /tmp/.out
	# the pages of a dead process may be given back a little later
	while counters; left=$(recount); [ "$pinned" != "$pinned_before" ] || [ "$users" != "$users_before" ] || [ "$left" ]; do
		tries=$((tries + 1))
		[ $tries -lt 30 ] || break
		sleep 0.1
	done
	[ ! "$left" ] || report trouble "left behind: $left"
	[ ! -d /rig/instead ] || unload
	echo "rig $word end $name" >/dev/kmsg
	report end "$name" $ret $((pinned - pinned_before)) $((users - users_before))
}

echo "rig $word boot" >/dev/kmsg
dmesg -n 8
report ready
[ -d /rig/instead ] || load
[ ! -w /sys/kernel/debug/kcsan ] || echo on >/sys/kernel/debug/kcsan
[ ! -w /sys/kernel/debug/kmemleak ] || echo clear >/sys/kernel/debug/kmemleak
set -f
while read -r line; do
	# shellcheck disable=SC2086 # to be split
	run_test $line
done </rig/list

[ -d /rig/instead ] || unload
echo "rig $word end" >/dev/kmsg
report "done"
sleep 0.2
sync
poweroff -f
