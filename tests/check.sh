#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/check.sh		(make check)
#
# Sets up, builds, and runs all tests: KUnit in User Mode Linux; the selftests, 64 and 32 bits, in guests with
# stock Linux 6.12 and 6.1. The last line is the sum.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

began=$SECONDS
out=$TOP/build/check
rm -rf "$out"
mkdir -p "$out"
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# A build or a program that ends without a report is one failure.
failed_for() {
	[[ -s $out/$1 ]] || printf '0 1 0\n' >"$out/$1"
}

"$TOP/tests/setup.sh" check
for kernel in 6.12 6.1 source; do
	"$TOP/tests/vm/kernel.sh" "$kernel" >/dev/null
done

say "KUnit starts in the background; its output comes when it is done"
nice "$TOP/tests/kunit/run.sh" --report "$out/kunit" >"$out/kunit.log" 2>&1 </dev/null &
kunit=$!

programs=ok
"$TOP/tests/build.sh" programs || programs=
for kernel in 6.12 6.1; do
	if [[ $programs ]] && "$TOP/tests/build.sh" module "$kernel"; then
		"$TOP/tests/vm/run" --kernel "$kernel" --report "$out/vm-$kernel" --keep "$out" </dev/null || true
	fi
	failed_for "vm-$kernel"
done

while kill -0 "$kunit" 2>/dev/null; do
	say "KUnit: $(grep '^==' "$out/kunit.log" | tail -n 1 | cut -c4-)"
	timeout 8 tail --pid="$kunit" -f /dev/null || true
done
wait "$kunit" || true
grep -vE '^== .*: [0-9]+ s$' "$out/kunit.log" || true
failed_for kunit

passed=0 failed=0 skipped=0
for part in kunit vm-6.12 vm-6.1; do
	read -r p f s <"$out/$part"
	((passed += p, failed += f, skipped += s)) || true
	tail -n +2 "$out/$part" | sed "s/^/skipped ($part): /"
done
say "all of it took $((SECONDS - began)) s"
echo "$passed passed, $failed failed$( ((skipped)) && echo ", $skipped skipped")"
((passed && !failed))
