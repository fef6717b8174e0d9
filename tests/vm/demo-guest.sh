#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC3043 # busybox knows local
#
# The inside of `make demo`. Fails if anything is not as it says.

step() {
	printf '\n--- %s\n' "$*"
}

fail() {
	echo "FAILED: $*"
	exit 1
}

# seconds NAME COMMAND...: runs it with its output in /tmp/NAME, and sets $took
seconds() {
	local name=$1 from to
	shift
	from=$(cut -d' ' -f1 /proc/uptime)
	"$@" >"/tmp/$name" || fail "$* ended with $?"
	to=$(cut -d' ' -f1 /proc/uptime)
	took=$(echo "$from $to" | awk '{ printf "%.2f", $2 - $1 }')
}

pinned() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk '$1 == "nr_foll_pin_acquired" { a = $2 } $1 == "nr_foll_pin_released" { r = $2 } END { print a - r }' /proc/vmstat
}

cd /files || exit 1
uname -srm
kscope info || fail "kscope info"

step "1. Digests of real files, by children of a scope: kscope sum against sha256sum"
nproc=$(nproc)
files=$(find . -type f | sort)
nr=$(echo "$files" | wc -l)
mb=$(du -sm . | cut -f1)
echo "$nr files, $mb MB, read once beforehand so that all are in memory; $nproc processors"
# shellcheck disable=SC2086 # names without blanks
cat $files >/dev/null
seconds reference sha256sum $files
echo "sha256sum (GNU coreutils)  $took s"
seconds kscope kscope sum $files
echo "kscope sum                 $took s"
cmp /tmp/reference /tmp/kscope || fail "the outputs differ"
echo "The outputs are identical, $(wc -c </tmp/kscope) bytes. The last lines:"
tail -n 3 /tmp/kscope
seconds checked kscope sum -c /tmp/reference
echo "kscope sum -c              $took s: $(grep -c ': OK$' /tmp/checked) of $nr files are OK"

step "2. A scope that has unfinished children is not released, and says why"
refused || fail "refused"

step "3. An owner is killed while its children work on its memory"
before=$(pinned)
echo "pinned pages before: $before"
owner 64 >/tmp/owner &
while ! grep -q ready /tmp/owner; do sleep 0.1; done
read -r _ pid pages </tmp/owner
sleep 1
during=$(pinned)
echo "owner $pid has pinned 64 MiB, which is $pages pages; its children fill them over and over"
echo "pinned pages during: $during"
[ "$during" -ge $((before + pages)) ] || fail "fewer pages are pinned than the owner said"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
echo "SIGKILL; wait() has returned"
tries=0
while after=$(pinned); [ "$after" != "$before" ]; do
	echo "pinned pages after:  $after: the children are still being told"
	tries=$((tries + 1))
	[ $tries -lt 50 ] || fail "pages stay pinned"
	sleep 0.1
done
echo "pinned pages after:  $after, as before"

step "4. Memory that is lent, and an owner that does everything wrong"
hazards /dev/vdc >/tmp/hazards || fail "hazards: $(cat /tmp/hazards)"
tr '|' '\n' </tmp/hazards | sed 's/^ *kscope: /   /; s/ *$//; /^ ok$/d'
echo "The same with io_uring beside it: make hazards"

echo "What the kernel has logged since the demo began (tests/vm/run fails if there is a complaint in it):"
dmesg | sed '1,/rig .* start/d' | grep . || echo "(nothing)"
