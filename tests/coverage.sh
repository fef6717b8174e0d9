#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/coverage.sh [TEST]...	(make coverage [T="TEST..."])
#
# Which lines and branches of kmod/ do the tests reach? Runs KUnit and all selftests (64 bits) on the kernel 'debug',
# with a module that counts, and writes build/coverage/report.txt. Fails if a test fails, if a line is not reached that
# tests/coverage/unreached.txt does not list, and if one that it lists is reached.
# With TESTs only these run, and add to what was reached before, if the module is still the same.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

out=$TOP/build/coverage
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# The kernel keeps the counters under the names that the objects had when they were compiled.
collect() {
	mkdir -p "$out/guest" "$out/new"
	tar -C "$out/guest" -xzf "$out/counters.tar.gz" || return 1
	(cd "$objects" && find kmod -name '*.gcno' -exec cp --parents -t "$out/new" {} +)
	cp -r "$out/guest$objects/kmod" "$out/new/"
}

same_module() {
	local file
	for file in $(cd "$out/new" && find . -name '*.gcno'); do
		cmp -s "$out/new/$file" "$out/objects/$file" || return 1
	done
}

# keep TEST...: the counters, with those of earlier runs if these are wanted and fit
keep() {
	if (($#)) && [[ -d $out/objects ]] && same_module; then
		gcov-tool merge -o "$out/merged" "$out/objects" "$out/new" >"$out/merge.log" 2>&1 ||
			{ cat "$out/merge.log" >&2; return 1; }
		cp -r "$out/merged/kmod" "$out/new/"
	fi
	rm -rf "$out/objects"
	mv "$out/new" "$out/objects"
}

(($#)) || rm -rf "$out"
rm -rf "$out/guest" "$out/new" "$out/merged"
mkdir -p "$out"
words=$("$TOP/tests/vm/kernel.sh" debug)
eval "$words"
"$TOP/tests/build.sh" gcov debug
"$TOP/tests/build.sh" programs
objects=$TOP/build/gcov-$KVER
tests=ok
"$TOP/tests/vm/run" --kernel debug --tests "$TOP/build/selftests/64" --keep "$out" --coverage "$out/counters.tar.gz" \
	--module "$objects/kscope.ko" --module "$objects/kscope_kunit.ko" \
	--module "$objects/tests/modules/kscope_gate.ko" "${@/#/--only=}" </dev/null || tests=
collect || die "the guest did not report its counters: see what it printed above"
keep "$@" || die "the counters do not fit those of earlier runs: remove $out"
lines=ok
"$TOP/tests/coverage/report.py" "$out/objects" "$TOP/tests/coverage/unreached.txt" "$out/report.txt" || lines=
[[ $lines ]] || say "write a test for each such line; if none can reach it, say why in tests/coverage/unreached.txt"
[[ $tests ]] || say "tests failed, so that lines may look unreached that are not"
say "the report is $out/report.txt"
[[ $tests && $lines ]]
