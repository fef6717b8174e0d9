#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/check.sh PART...
#
# Sets up, builds, runs the parts, in the order given, and prints one sum as the last line:
#   model         the state machine and the life cycle, exhaustively
#   kunit         the tests inside the kernel, in User Mode Linux; in the background of the other parts
#   6.12, 6.1     all selftests, 64 and 32 bits, in a guest with that stock kernel
#   debug, kcsan  the same and KUnit on an instrumented kernel, which is built first
#   quarter       of these on debug, those for 64 bits: another one for each commit; KUnit, and a look for leaks
#   fuzz          FUZZ_SECONDS (60) of fuzzing on debug
#   mutant        one planted bug, another one for each commit; the tests must find it
set -euo pipefail
. "$(dirname "$0")/lib.sh"

began=$SECONDS
out=$TOP/build/check
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

wanted() {
	[[ " $parts " == *" $1 "* ]]
}

# guests PART KERNEL [OPTION]...
guests() {
	"$TOP/tests/vm/kernel.sh" "$2" >/dev/null && "$TOP/tests/build.sh" module "$2" || return 0
	[[ ! $programs ]] || "$TOP/tests/vm/run" --kernel "$2" --report "$out/$1" --keep "$out" "${@:3}" || true
}

# Options for a quarter of the tests that run on instrumented kernels; the hash of HEAD says which
a_quarter() {
	local hash
	hash=$(git -C "$TOP" rev-parse --short=7 HEAD 2>/dev/null) || hash=0
	echo --only kunit
	sed '/^tool_/d' "$TOP/build/selftests/64/LIST" |
		awk -v turn=$((16#$hash % 4)) 'NR % 4 == turn { print "--only 64:" $1 }'
}

run_part() {
	case $1 in
	model) "$TOP/tests/model/run.sh" --report "$out/$1" || true ;;
	6.12 | 6.1 | debug | kcsan) guests "$1" "$1" ;;
	# shellcheck disable=SC2046 # words
	quarter) guests quarter debug $(a_quarter) ;;
	fuzz) KERNEL=debug "$TOP/tests/fuzz/run.sh" --report "$out/$1" "${FUZZ_SECONDS:-60}" || true ;;
	mutant) "$TOP/tests/mutants/run.sh" --report "$out/$1" --rotate || true ;;
	esac </dev/null
}

wait_for_kunit() {
	while kill -0 "$kunit" 2>/dev/null; do
		say "KUnit: $(grep '^==' "$out/kunit.log" | tail -n 1 | cut -c4-)"
		timeout 8 tail --pid="$kunit" -f /dev/null || true
	done
	wait "$kunit" || true
	grep -vE '^== .*: [0-9]+ s$' "$out/kunit.log" || true
}

# A part that ends without a report is one failure.
sum_up() {
	local part p f s passed=0 failed=0 skipped=0
	for part in $parts; do
		[[ -s $out/$part ]] || printf '0 1 0\n' >"$out/$part"
		read -r p f s <"$out/$part"
		((passed += p, failed += f, skipped += s)) || true
		tail -n +2 "$out/$part" | sed "s/^/skipped ($part): /"
		say "$part: $p passed, $f failed"
	done
	say "all of it took $((SECONDS - began)) s"
	echo "$passed passed, $failed failed$( ((skipped)) && echo ", $skipped skipped")"
	((passed && !failed))
}

for part; do
	[[ $part =~ ^(model|kunit|6.12|6.1|debug|quarter|kcsan|fuzz|mutant)$ ]] || set --
done
(($#)) || { sed -n '4,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
parts="$*"
rm -rf "$out"
mkdir -p "$out"
"$TOP/tests/setup.sh" check
! wanted kcsan || "$TOP/tests/setup.sh" kcsan
"$TOP/tests/vm/kernel.sh" source >/dev/null
if wanted kunit; then
	say "KUnit starts in the background; its output comes when it is done"
	nice "$TOP/tests/kunit/run.sh" --report "$out/kunit" >"$out/kunit.log" 2>&1 </dev/null &
	kunit=$!
fi
programs=ok
"$TOP/tests/build.sh" programs || programs=
for part; do
	run_part "$part"
done
! wanted kunit || wait_for_kunit
sum_up
