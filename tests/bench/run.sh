#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/bench/run.sh quick|all			(make bench-quick, make bench)
#        tests/bench/run.sh icount|wall BENCH...
#
# Builds what it needs, runs the benches in guests of $KERNEL (6.12), and leaves results.csv, report.md and plots in
# build/bench. `all` does all of them, `quick` those that were first to be tuned; with SUBJECT=kscope only that one.
#   icount  one processor; a nanosecond of the guest is an instruction of it, of user or kernel alike
#   wall    two processors, and the clock on the wall
# It fails if a result is wrong; whether a figure is good is for the report to say.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

kernel=${KERNEL:-6.12}
began=$SECONDS
out=$TOP/build/bench
csv=$out/results.csv

# The kernel's own tests of its ciphers would take turns with the benches, and KFENCE makes some allocations slow.
quiet="cryptomgr.notests kfence.sample_interval=0"

# guest MODE SMP ACCEL COMMAND: rows for the CSV
guest() {
	ACCEL=$3 SMP=$2 MEM=${MEM:-4G} "$TOP/tests/vm/run" --kernel "$kernel" --no-erms --append "$quiet" \
		--timeout 3600 --keep "$out" --module "$modules/kscope.ko" \
		--module "$modules/tests/modules/kscope_naive.ko" --add "$out/obj/bench:/bin/bench" -- "$4" </dev/null |
		tee "$out/log-$1" |
		sed -un -e "/^#row /{s//$1,$kernel,$2,/;p;d}" -e 's/^#not-offered /== not offered: /' -e 'w /dev/stderr'
}

# measure MODE BENCH...
measure() {
	local options="${SUBJECT:+-s $SUBJECT}"
	case $1 in
	icount) guest "$1" 1 icount "bench -u instructions $options ${*:2}" ;;
	wall) guest "$1" 2 "${ACCEL-}" "bench -n 11 -t 50 $options ${*:2}" ;;
	esac | tee -a "$csv"
}

[[ ${1-} =~ ^(quick|all|icount|wall)$ ]] || { sed -n '4,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
"$TOP/tests/build.sh" bench "$kernel"
"$TOP/tests/build.sh" bench
eval "$("$TOP/tests/vm/kernel.sh" "$kernel")"
modules=$TOP/build/bench-$KVER
rm -f "$out"/*.svg "$out/report.md"
echo mode,kernel,smp,bench,subject,batch,unit,median,min,max,runs >"$csv"
memory="scope cancel pin"
data="copy copy8 crc32c sha256 file-read-buffered"
case $1 in
quick) measure icount clock spawn latency scope cancel ;;
all)
	# shellcheck disable=SC2086 # words
	measure icount clock spawn latency $memory growth-children growth-scopes memory $data
	# shellcheck disable=SC2086 # words
	measure wall spawn latency $memory $data file-read-direct
	;;
*) measure "$@" ;;
esac
"$TOP/tests/bench/report.py" "$csv" "$out" "$KVER"
say "all of it took $((SECONDS - began)) s: ${out#"$TOP/"}/report.md"
