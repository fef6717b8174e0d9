#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/build.sh module 6.12|6.1|debug|kcsan|/path/to/bzImage	the module for that kernel, no warning allowed
#        tests/build.sh hooks 6.12|6.1			the module with the hooks for tests, in build/hooks-<release>
#        tests/build.sh gcov debug			the same with counters of lines, in build/gcov-<release>
#        tests/build.sh userspace			library, tool, examples
#        tests/build.sh programs				these, and the tests (64 and 32 bits)
#        tests/build.sh bench 6.12|6.1			the module and its peer for benches, in build/bench-<release>
#        tests/build.sh bench				the program that measures, in build/bench/obj
#        tests/build.sh hazards				what shows io_uring and kscope side by side, in build/hazards
#        tests/build.sh hazards kscope			the same without io_uring: needs no liburing
#        tests/build.sh programs arm64			the same for that architecture, in build/*-arm64
#
# What it builds is in build/, where tests/vm/run finds it. Modules for debug and kcsan always have the hooks, and
# the KUnit tests as a module beside them.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

build_module() {
	local words out KVER KDIR CC options=(KSCOPE_TESTS=1 KCFLAGS=-Werror)
	words=$("$TOP/tests/vm/kernel.sh" "$1")
	eval "$words"
	out=$TOP/build/$2-$KVER
	[[ $1 != debug && $1 != kcsan ]] || options+=(KSCOPE_HOOKS=1 CONFIG_KSCOPE_KUNIT=m)
	[[ $2 != bench ]] || options=(KSCOPE_BENCH=1 KCFLAGS=-Werror)
	[[ $2 != hooks ]] || options+=(KSCOPE_HOOKS=1)
	# what checks and traces each access would count as branches of the source, and is for other runs;
	# lines that the optimizer merges with others cannot be told apart
	[[ $2 != gcov ]] || options+=(KSCOPE_GCOV=1 UBSAN_SANITIZE=n KASAN_SANITIZE=n KCOV_INSTRUMENT=n KCFLAGS="-Werror -Og")
	mkdir -p "$out"
	run_slow "building the module for Linux $KVER$([[ $2 =~ kmod|bench ]] || echo ", with ${2/gcov/counters}")" \
		make -C "$TOP" --no-print-directory -j"$(nproc)" module KDIR="$KDIR" CC="$CC" kmod="$out" \
		LOG="$out/log" "${options[@]}"
	if grep -E 'warning:|WARNING:' "$out/log" >&2; then
		find "$out" -name '*.ko' -delete
		die "the module for Linux $KVER builds with warnings"
	fi
}

cross=() # words for make: the compiler of another architecture

set_cross() {
	[[ $1 == arm64 ]] || die "no compiler known for $1"
	cross=(CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar)
	command -v "${cross[0]#CC=}" >/dev/null || die "no ${cross[0]#CC=}: run tests/setup.sh matrix"
}

# build_userspace [ARCH]
build_userspace() {
	run_slow "building library, tool and examples${1:+ for $1}" \
		make -C "$TOP/userspace" --no-print-directory -j"$(nproc)" O="$TOP/build/userspace${1:+-$1}" "${cross[@]}"
}

# build_tests DIRECTORY MAKE-VARIABLE...
build_tests() {
	local SOURCE
	eval "$("$TOP/tests/vm/kernel.sh" source)"
	make -C "$TOP/tests/selftests" --no-print-directory -j"$(nproc)" O="$TOP/build/selftests/$1" \
		KSFT="$SOURCE/tools/testing/selftests" "${@:2}"
}

# build_programs [ARCH]
build_programs() {
	local o=$TOP/build/userspace${1:+-$1}
	[[ ! ${1-} ]] || set_cross "$1"
	build_userspace "${1-}"
	if [[ ${1-} ]]; then
		run_slow "building the tests for $1" build_tests "$1" LIB="$o" "${cross[@]}"
	else
		run_slow "building the tests" build_tests 64 LIB="$o"
		run_slow "building the tests of the 32-bit ABI" build_tests 32 M32=1
	fi
}

build_bench() {
	build_userspace
	run_slow "building the benches" make -C "$TOP/tests/bench" --no-print-directory -j"$(nproc)" \
		O="$TOP/build/bench/obj" LIB="$TOP/build/userspace"
}

# build_hazards [kscope]
build_hazards() {
	run_slow "building the hazards" make -C "$TOP/tests/selftests/hazards" --no-print-directory \
		O="$TOP/build/hazards" "${1:-all}"
}

mkdir -p "$TOP/build"
exec 7>"$TOP/build/lock"
flock -n 7 || { say "waiting for another build in this tree"; flock 7; }
case ${1-} in
module) build_module "$2" kmod ;;
hooks | gcov) build_module "$2" "$1" ;;
bench) if [[ ${2-} ]]; then build_module "$2" bench; else build_bench; fi ;;
hazards) build_hazards "${2-}" ;;
userspace) build_userspace ;;
programs) build_programs "${2-}" ;;
*) sed -n '4,16s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
