#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016 # expanded by the other shell
#
# Little memory, few files, an ordinary user.
. "${0%/*}/tap.sh"

plan 9

bytes 3000001 >file
small_files 100
sha256sum file small.* file >../out/want
chmod 755 . ../out

# with LIMIT: as nobody, after ulimit LIMIT, the digests are right
with() {
	as_nobody "ulimit $1 && kscope sum file small.* file" >../out/got && cmp ../out/want ../out/got
}

for limit in "-l 8192" "-l 1024" "-l 256" "-l 64" "-l 16" "-n 64" "-n 12"; do
	check "a user with ulimit $limit" with "$limit"
done

too_little() {
	as_nobody "ulimit -l 4 && kscope sum file" >../out/got 2>../out/err && return 1
	grep -q "the limit of locked memory is 4 KiB" ../out/err
}
check "too little lockable memory is explained" too_little

given_back() {
	local before
	before=$(pinned_pages)
	kscope sum file small.* >/dev/null
	[ "$(pinned_pages)" = "$before" ]
}
check "pinned pages are given back" given_back
