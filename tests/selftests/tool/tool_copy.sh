#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC3043 # busybox knows local
#
# copy: what cp leaves, kscope copy leaves as well.
. "${0%/*}/tap.sh"

plan 42

# copied ARGUMENT...: `kscope copy` says nothing and succeeds
copied() {
	kscope copy "$@" >../out/got 2>&1 && [ ! -s ../out/got ] && return
	sed 's/^/# /' ../out/got
	return 1
}

# equal OPTION...: from and to are, afterwards
equal() {
	rm -f to
	copied "$@" from to && cmp from to
}

for size in 0 1 4095 4096 4097 262143 262144 262145 1000001; do
	bytes $size >from
	check "$size bytes" equal
	check "$size bytes, verified" equal -v
done
check "through the page cache" equal -c
check "through the page cache, verified" equal --cached --verify

# file_pages: those in the page cache
file_pages() {
	awk '$1 == "nr_file_pages" { print $2 }' /proc/vmstat
}

# cached_by OPTION...: pages that come into the page cache by a copy of 8192 of them
cached_by() {
	local before
	rm -f from to
	dd if=/dev/zero of=from bs=1M count=32 2>/dev/null
	sync
	echo 3 >/proc/sys/vm/drop_caches
	before=$(file_pages)
	copied "$@" from to || return 1
	sync
	echo $(($(file_pages) - before))
}
past_the_cache() {
	[ "$(cached_by)" -lt 2048 ]
}
into_the_cache() {
	[ "$(cached_by -c)" -gt 12288 ]
}
check "what is copied is not in the page cache" past_the_cache
check "... with --cached it is" into_the_cache

over_longer() {
	bytes 300000 >to
	bytes 5 >from
	copied from to && cmp from to
}
check "a longer file is overwritten" over_longer

# blocks FILE: how many it takes on the disk
blocks() {
	sync
	stat -c %b "$1"
}

# A mebibyte of data behind 8 of nothing, and another 8 at the end
sparse() {
	rm -f from to
	bytes 1048576 >from.data
	truncate -s 8M from && cat from.data >>from && truncate -s 17M from
	copied -v from to && cmp from to && [ "$(blocks to)" -lt 4096 ]
}
check "holes stay holes" sparse
all_hole() {
	rm -f from to
	truncate -s 8M from
	copied from to && cmp from to && [ "$(blocks to)" -lt 64 ]
}
check "a file that is one hole" all_hole
rm -f from to

directory() {
	mkdir -p dir
	bytes 100 >from
	copied from dir && cmp from dir/from && copied ./dir/from . && cmp from dir/from
}
check "into a directory" directory

modes() {
	rm -f from to
	bytes 10 >from
	chmod 751 from
	(umask 027 && copied from to) && [ "$(stat -c %a to)" = 750 ] || return 1
	chmod 600 to
	copied from to && [ "$(stat -c %a to)" = 600 ]
}
check "the mode is that of cp" modes

# refuses TEXT ARGUMENT...: it fails, and says that
refuses() {
	local want=$1
	shift
	kscope copy "$@" >../out/got 2>&1 && return 1
	grep -q -e "$want" ../out/got && return
	sed 's/^/# /' ../out/got
	return 1
}
bytes 1000 >from
check "no such file" refuses "cannot open nowhere: No such file" nowhere to
check "no such directory" refuses "cannot create no/where: No such file" from no/where
check "a directory is no file" refuses "neither a file nor a block device" dir to
check "a device is no file" refuses "/dev/null is neither a file" from /dev/null
mkfifo pipe
check "a pipe is no file" refuses "neither a file nor a block device" pipe to
check "a file of procfs is refused" refuses "error" /proc/sys/kernel/hostname to
check "a file of procfs is refused, verified" refuses "error" -v /proc/sys/kernel/ostype to
check "one operand" refuses "missing destination file operand" from
check "no operand" refuses "missing file operand"
check "three operands" refuses "more than two" from to there

itself() {
	ln -f from other
	refuses "is the source itself" from from && refuses "is the source itself" from other && [ "$(stat -c %s from)" = 1000 ]
}
check "a file is not copied onto itself" itself

full() {
	local got=0
	mkdir -p small
	mount -t tmpfs -o size=64k none small || return 1
	bytes 200000 >from
	refuses "error writing small/to: No space left on device" from small/to || got=1
	umount small
	return $got
}
check "a full disk is told" full

limited() {
	rm -f from to
	bytes 700001 >from
	chmod 777 .
	as_nobody "cd $PWD && ulimit -l 16 && kscope copy -v from to" && cmp from to
}
check "an ordinary user with little memory to lock" limited

interrupted() {
	local before status
	before=$(pinned_pages)
	rm -f from to
	dd if=/dev/zero of=from bs=1M count=100 2>/dev/null
	kscope copy from to 2>../out/err &
	while [ ! -s to ]; do
		:
	done
	kill $!
	wait $!
	status=$?
	[ $status = 143 ] || { echo "# exit status $status"; return 1; }
	[ "$(pinned_pages)" = "$before" ] || { echo "# pages are left pinned"; return 1; }
	grep -q "interrupted: to is not complete" ../out/err
}
check "a signal ends it, and nothing stays pinned" interrupted

# The source changes where it has been read already.
changed() {
	rm -f from to
	dd if=/dev/zero of=from bs=1M count=100 2>/dev/null
	kscope copy -v from to 2>../out/err &
	while [ ! -s to ] || [ "$(stat -c %s to)" -lt 16777216 ]; do
		:
	done
	printf x | dd of=from bs=1 seek=5 conv=notrunc 2>/dev/null
	wait $! && return 1
	grep -q "to differs from what was copied, at byte 5 or behind it" ../out/err && return
	sed 's/^/# /' ../out/err
	return 1
}
check "what differs is told where" changed
