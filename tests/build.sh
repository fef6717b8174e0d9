#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/build.sh module 6.12|6.1|/path/to/bzImage	the module for that kernel, no warning allowed
#        tests/build.sh userspace			library, tool, examples
#        tests/build.sh programs				these, and the tests (64 and 32 bits)
#
# What it builds is in build/, where tests/vm/run finds it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build_module() {
	local words out KVER KDIR
	words=$("$TOP/tests/vm/kernel.sh" "$1")
	eval "$words"
	out=$TOP/build/kmod-$KVER
	mkdir -p "$out"
	run_slow "building the module for Linux $KVER" \
		make -C "$TOP" --no-print-directory -j"$(nproc)" module KDIR="$KDIR" \
		KCFLAGS=-Werror KSCOPE_TESTS=1 LOG="$out/log"
	if grep -E 'warning:|WARNING:' "$out/log" >&2; then
		find "$out" -name '*.ko' -delete
		die "the module for Linux $KVER builds with warnings"
	fi
}

build_userspace() {
	run_slow "building library, tool and examples" \
		make -C "$TOP/userspace" --no-print-directory -j"$(nproc)" O="$TOP/build/userspace"
}

build_tests() {
	local SOURCE ksft o=$TOP/build/userspace
	eval "$("$TOP/tests/vm/kernel.sh" source)"
	ksft=$SOURCE/tools/testing/selftests
	run_slow "building the tests" \
		make -C "$TOP/tests/selftests" --no-print-directory -j"$(nproc)" O="$TOP/build/selftests/64" KSFT="$ksft" LIB="$o"
	run_slow "building the tests of the 32-bit ABI" \
		make -C "$TOP/tests/selftests" --no-print-directory -j"$(nproc)" O="$TOP/build/selftests/32" KSFT="$ksft" M32=1
}

mkdir -p "$TOP/build"
exec 7>"$TOP/build/lock"
flock -n 7 || { say "waiting for another build in this tree"; flock 7; }
case ${1-} in
module) build_module "$2" ;;
userspace) build_userspace ;;
programs)
	build_userspace
	build_tests
	;;
*) sed -n '4,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
