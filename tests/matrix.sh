#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/matrix.sh [--hooks] [CELL]...	(make check-matrix)
#
# For each cell: builds the module, no warning allowed, and runs all selftests with it in a guest.
#   6.12, 6.1         Debian's kernels for clouds; 64 and 32 bits
#   6.12-rt, 6.1-rt   those with PREEMPT_RT; 64 and 32 bits
#   6.12-arm64        the cloud kernel of another architecture, cross-compiled and emulated; 64 bits
# Without CELLs: all of them. --hooks takes modules with the hooks for tests, which the tests of races need.
# One line for each cell, and the sum as the last one. A cell that cannot be built or booted is one failure.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

all=(6.12 6.1 6.12-rt 6.1-rt 6.12-arm64)
began=$SECONDS
out=$TOP/build/matrix
kind=module
declare -A programs=()
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# build_programs ARCH: once, also if it fails
build_programs() {
	local arch=${1-}
	if [[ ! ${programs[x$arch]-} ]]; then
		programs[x$arch]=bad
		# shellcheck disable=SC2086 # no word, or one
		! "$TOP/tests/build.sh" programs $arch || programs[x$arch]=good
	fi
	[[ ${programs[x$arch]} == good ]]
}

build_cell() {
	local arch=
	if [[ $1 == *-arm64 ]]; then
		arch=arm64
		command -v aarch64-linux-gnu-gcc qemu-system-aarch64 >/dev/null ||
			{ say "$1: no compiler or emulator for it: run tests/setup.sh matrix"; return 1; }
	fi
	"$TOP/tests/vm/kernel.sh" "$1" >/dev/null && "$TOP/tests/build.sh" "$kind" "$1" && build_programs "$arch"
}

# What a guest reported, as one line; why tests were skipped, each reason once.
sum_up() {
	local p f s reasons
	[[ -s $out/$1 ]] || printf '0 1 0\n' >"$out/$1"
	read -r p f s <"$out/$1"
	((passed += p, failed += f)) || true
	reasons=$(tail -n +2 "$out/$1" | sed 's/^\([^:]\|:[^ ]\)*: //' | sort | uniq -c |
		sed 's/^ *\([0-9]*\) /\1: /' | paste -sd ';')
	printf '%s %-11s %s passed, %s failed, %s skipped%s\n' "$( ((f)) && echo FAIL || echo 'ok  ')" "$1" "$p" "$f" "$s" \
		"${reasons:+ (${reasons//;/; })}"
}

[[ ${1-} != --hooks ]] || { kind=hooks && shift; }
for cell; do
	[[ " ${all[*]} " == *" $cell "* ]] || { sed -n '4,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
done
(($#)) || set -- "${all[@]}"
rm -rf "$out"
mkdir -p "$out"
for cell; do
	build_cell "$cell" || continue
	options=(--kernel "$cell" --report "$out/$cell" --keep "$out")
	[[ $kind == module ]] || options+=(--hooks)
	"$TOP/tests/vm/run" "${options[@]}" </dev/null || true
done

passed=0 failed=0
for cell; do
	sum_up "$cell"
done
say "all of it took $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
((passed && !failed))
