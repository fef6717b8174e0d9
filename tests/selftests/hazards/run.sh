#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/selftests/hazards/run.sh		(make hazards)
#
# Builds what it needs, and shows in a guest of $KERNEL (6.12) what io_uring and kscope do with the same program: a row
# for each hazard. The last line counts the rows in which kscope keeps its promise, and those in which it does not.
set -euo pipefail
. "$(dirname "$0")/../../lib.sh"

kernel=${KERNEL:-6.12}
log=$TOP/build/hazards/log
eval "$("$TOP/tests/vm/kernel.sh" "$kernel")"
"$TOP/tests/build.sh" module "$kernel"
"$TOP/tests/build.sh" hazards
ret=0
"$TOP/tests/vm/run" --kernel "$kernel" --module "$TOP/build/kmod-$KVER/kscope.ko" --slow-disk --timeout 120 \
	--add "$TOP/build/hazards/hazards:/bin/hazards" -- hazards /dev/vdc </dev/null | tee "$log" || ret=$?
passed=$(grep -c ' | ok$' "$log" || true)
failed=$(grep -c ' | FAIL: ' "$log" || true)
((failed || !ret)) || failed=1 # the guest has more to say than the rows
echo "$passed passed, $failed failed"
((passed && !failed))
