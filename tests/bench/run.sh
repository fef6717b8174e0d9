#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/bench/run.sh quick			(make bench-quick)
#        tests/bench/run.sh these BENCH...
#
# Builds what it needs, boots a guest, runs the benches in it, and prints their figures.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

kernel=${KERNEL:-6.12}
out=$TOP/build/bench
csv=$out/results.csv

# The kernel's own tests of its ciphers would take turns with the benches, and KFENCE makes some allocations slow.
quiet="cryptomgr.notests kfence.sample_interval=0"

# guest MODE SMP COMMAND: rows of the CSV
guest() {
	local mode=$1 smp=$2 accel=
	[[ $mode != icount ]] || accel=icount
	ACCEL=${accel:-${ACCEL-}} SMP=$smp "$TOP/tests/vm/run" --kernel "$kernel" --append "$quiet" --timeout 1800 \
		--module "$modules/kscope.ko" --module "$modules/tests/modules/kscope_naive.ko" \
		--add "$out/obj/bench:/bin/bench" --keep "$out" -- "$3" </dev/null | tee "$out/log" |
		sed -un -e "/^#row /{s//$mode,$kernel,$smp,/;p;d}" -e 's/^#not-offered /== not offered: /' -e 'w /dev/stderr'
}

case ${1-} in
these) benches=${*:2} ;;
quick) benches="clock spawn latency scope cancel" ;;
*) sed -n '4,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
"$TOP/tests/build.sh" bench "$kernel"
"$TOP/tests/build.sh" bench
eval "$("$TOP/tests/vm/kernel.sh" "$kernel")"
modules=$TOP/build/bench-$KVER
echo mode,kernel,smp,bench,subject,batch,unit,median,min,max,runs >"$csv"
guest icount 1 "bench -u instructions ${SUBJECT:+-s $SUBJECT} $benches" | tee -a "$csv"
