#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/soak/run.sh [--report FILE] [--hooks] [MINUTES [SEED]]		(make soak MINUTES=)
#
# Builds the module for $KERNEL (default: debug) and the soak, and runs it in a guest for MINUTES (default: 2): owners
# of scopes are killed at random, and nothing may be left of them. --hooks takes the module with the hooks for tests on
# a stock kernel; instrumented kernels always have it. A failure shows its seed, to be given as SEED.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

kernel=${KERNEL:-debug}
report=
run=()
built=module
while [[ ${1-} == --* ]]; do
	case $1 in
	--report) report=$2; shift 2 ;;
	--hooks) built=hooks; run+=(--hooks); shift ;;
	*) sed -n '4,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
done
minutes=${1:-2}
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "not a number of minutes: $minutes"
out=$TOP/build/soak
mkdir -p "$out"

"$TOP/tests/build.sh" "$built" "$kernel"
run_slow "building the soak" \
	gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-sign-compare -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 \
	-I"$TOP/tests/selftests" -I"$TOP/uapi" -static -pthread -o "$out/soak" "$TOP"/tests/soak/*.c
ret=0
"$TOP/tests/vm/run" --kernel "$kernel" "${run[@]}" --add "$out/soak:/bin/soak" \
	--timeout $((${minutes%.*} * 60 + 300)) --keep "$out" \
	-- "soak $minutes ${2-}; ret=\$?; sh /rig/leaks.sh; exit \$ret" </dev/null |
	tee "$out/log" || ret=$?
passed=$(grep -c '^ok ' "$out/log" || true)
failed=$(grep -c '^not ok ' "$out/log" || true)
# the guest's own complaints: its log, or a program that did not get to its end
((ret == 0 || failed)) || failed=1
say "soak on $kernel: $passed passed, $failed failed; guest's log in ${out#"$TOP/"}"
[[ ! $report ]] || printf '%d %d 0\n' "$passed" "$failed" >"$report"
((passed && !failed))
