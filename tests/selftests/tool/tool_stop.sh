#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Ending early: at once, by the signal, with nothing left behind.
. "${0%/*}/tap.sh"

plan 10

truncate -s 20G endless
small="$scratch/in/small"
echo small >"$small"

# stopped SIGNAL COMMAND...: after 1 s, the command ends by the signal, and its pages are unpinned. Left alone it
# would run for minutes; 3 s more are for a machine that has other things to do.
stopped() {
	local signal=$1 before start took status
	shift
	before=$(pinned_pages)
	start=$(clock)
	timeout -s "$signal" 1 "$@" >../out/got 2>../out/err
	status=$?
	took=$(($(clock) - start))
	[ $took -lt 400 ] || { echo "# took $took hundredths of a second"; return 1; }
	[ $status = $((128 + $(kill -l "$signal"))) ] || { echo "# exit status $status"; return 1; }
	[ "$(pinned_pages)" = "$before" ] || { echo "# pages are left pinned"; return 1; }
}

check "SIGINT ends it at once" stopped INT kscope sum endless
check "SIGTERM ends it at once" stopped TERM kscope sum endless
check "SIGINT ends it with many files at work" stopped INT kscope sum endless endless endless endless "$small"
check "results before the signal are printed" stopped TERM kscope sum "$small" endless
check "... as they are" [ "$(cat ../out/got)" = "$(sha256sum "$small")" ]

silent_pipe() {
	sleep 3 | stopped INT kscope sum
}
check "SIGINT ends it while it waits for a pipe" silent_pipe

killed() {
	local before tries=0
	before=$(pinned_pages)
	timeout -s KILL 1 kscope sum endless endless
	while [ "$(pinned_pages)" != "$before" ]; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || return 1
		sleep 0.1
	done
}
check "SIGKILL leaves nothing behind" killed

interrupted_check() {
	echo "$(sha256sum <"$small" | cut -c 1-64)  endless" >list
	stopped INT kscope sum -c list
}
check "SIGINT ends a check" interrupted_check

list_that_does_not_come() {
	sleep 4 | stopped INT kscope sum -c
}
check "SIGINT ends it while it waits for a list" list_that_does_not_come

nobody_reads() {
	{ sleep 0.5; kscope sum "$small" endless; echo $? >../out/status; } | true
	sleep 1
	[ "$(cat ../out/status)" = 141 ]
}
check "SIGPIPE ends it where nobody reads" nobody_reads
