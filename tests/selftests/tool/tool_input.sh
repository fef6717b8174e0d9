#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Inputs that are no plain files, and files that change.
. "${0%/*}/tap.sh"

plan 13

bytes 700001 >file
bytes 3 >tiny

as_pipe() {
	[ "$(cat "$@" | kscope sum)" = "$(cat "$@" | sha256sum)" ]
}
check "a pipe" as_pipe file
check "a pipe with nothing" as_pipe /dev/null
check "a pipe larger than all buffers" as_pipe file file file file file file file file file file

slow() {
	cat tiny
	sleep 1
	cat file
	sleep 1
	cat tiny
}
slow_pipe() {
	[ "$(slow | kscope sum - tiny)" = "$(cat tiny file tiny | sha256sum; sha256sum tiny)" ]
}
check "a slow pipe, with a file after it" slow_pipe

input=file
same "a file as standard input"
same "standard input among files" tiny - tiny
same "standard input twice" - -

offset() {
	local both
	both=$({ dd bs=1000 count=1 >/dev/null 2>&1; kscope sum; kscope sum; } <file)
	[ "$both" = "$(tail -c +1001 file | sha256sum; sha256sum </dev/null)" ]
}
check "standard input from where it is, and then to its end" offset

input=/dev/null
same "files of procfs and sysfs" /proc/version tiny /proc/filesystems /sys/kernel/mm/transparent_hugepage/enabled file
same "a character device" /dev/null

fifo() {
	local out
	mkfifo fifo
	cat file >fifo &
	out=$(kscope sum tiny fifo tiny)
	[ "$out" = "$(sha256sum tiny; sha256sum <file | sed 's/-/fifo/'; sha256sum tiny)" ]
}
check "a named pipe among files" fifo

# The digest is that of a length that the file had meanwhile; it grows by single pages.
grown() {
	local before after digest len
	before=$(stat -c %s grow)
	digest=$(kscope sum grow)
	after=$(stat -c %s grow)
	for len in $(seq "$before" 4096 "$after"); do
		[ "$(head -c "$len" grow | sha256sum | cut -c 1-64)" = "${digest%% *}" ] && return 0
	done
	return 1
}
growing() {
	local i bad=0
	cp file grow
	truncate -s 409600 grow
	for i in $(seq 100); do
		dd if=file bs=4096 count=1 >>grow 2>/dev/null
	done &
	for i in 1 2 3 4; do
		grown || bad=1
	done
	wait
	return $bad
}
check "a file that grows meanwhile" growing

# prefix DIGEST LENGTH...: it is that of one of so many bytes of the file
prefix() {
	local digest=$1 len
	shift
	for len; do
		[ "$(head -c "$len" file | sha256sum | cut -c 1-64)" = "$digest" ] && return 0
	done
	return 1
}
truncated() {
	local i digest
	for i in $(seq 10); do
		cp file shrink
		kscope sum shrink file >../out/got &
		truncate -s $((i * 1000)) shrink
		wait $! || return 1
		[ "$(tail -n 1 ../out/got)" = "$(sha256sum file)" ] || return 1
		digest=$(head -n 1 ../out/got | cut -c 1-64)
		# shellcheck disable=SC2046 # numbers
		prefix "$digest" 700001 $((i * 1000)) $(seq 0 4096 700001) || return 1
	done
}
check "a file that shrinks meanwhile does no harm to others" truncated
