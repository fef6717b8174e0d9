#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2015 # the last of && || is wanted
#
# The command line, info, and the examples.
. "${0%/*}/tap.sh"

plan 15

says() {
	local want=$1
	shift
	"$@" 2>&1 | grep -q -- "$want"
}
fails() {
	! "$@" >/dev/null 2>&1
}

check "--version" says "^kscope [0-9]" kscope --version
check "--help" says "^Usage: kscope" kscope --help
check "sum --help" says "^Usage: kscope sum" kscope sum --help
check "no command fails" fails kscope
check "an unknown command fails" fails kscope nonsense
check "an unknown option fails" fails kscope sum --nonsense
check "info knows the operations" says "256\|10  fsync" kscope info
check "info as an ordinary user" says "interface 1" as_nobody 'kscope info'

bytes 1000001 >from
copied() {
	copy from to && cmp from to
}
check "example copy" copied
check "example crc" says "part 15: [0-9a-f]" crc

mirrored() {
	mirror one two three <from >../out/got || return 1
	cmp from one && cmp from three && [ "$(grep -c "finished, 1000001 bytes" ../out/got)" = 3 ]
}
check "example mirror" mirrored
first_block() {
	nearest one two three 2>../out/err >../out/got || return 1
	head -c 4096 from | cmp - ../out/got && grep -q -e "from one" -e "from two" -e "from three" ../out/err
}
check "example nearest" first_block
told_apart() {
	differ one two >../out/got && grep -q "the same" ../out/got || return 1
	printf x | dd of=two bs=1 seek=999999 conv=notrunc 2>/dev/null
	differ one two >../out/got
	[ $? = 1 ] && grep -q "they differ" ../out/got
}
check "example differ" told_apart

refusal() {
	refused 8 >../out/got || return 1
	grep -q "^RELEASE: refused: Device or resource busy" ../out/got &&
		grep -q "sleep, " ../out/got && grep -q "^RELEASE: done" ../out/got
}
check "example refused" refusal

owned() {
	local before tries=0
	before=$(pinned_pages)
	owner 8 >../out/got 2>../out/err &
	while ! grep -q ready ../out/got; do
		sleep 0.1
		tries=$((tries + 1))
		[ $tries -lt 50 ] || return 1
	done
	[ "$(cut -d ' ' -f 3 ../out/got)" = 2048 ] && [ $(($(pinned_pages) - before)) = 2048 ] || return 1
	kill -9 $!
	wait $! 2>/dev/null
	while [ "$(pinned_pages)" != "$before" ]; do
		sleep 0.1
		tries=$((tries + 1))
		[ $tries -lt 50 ] || return 1
	done
}
check "example owner is killed, and its pages come back" owned
