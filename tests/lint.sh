#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/lint.sh		(make lint): prints nothing, or what is wrong
#
# shellcheck disable=SC2317 # show() calls them
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$TOP"

"$TOP/tests/setup.sh" lint
eval "$(tests/vm/kernel.sh source)"
out=$TOP/build/lint
rm -rf "$out"
mkdir -p "$out"
bad=0
trap 'rm -f "$TOP"/.checkpatch-camelcase.*' EXIT # checkpatch's note for later, about nothing

# show COMMAND...: its output, if it fails or says anything
show() {
	local ret=0
	(set -e; "$@") >"$out/output" 2>&1 </dev/null || ret=$?
	if ((ret)) || [[ -s $out/output ]]; then
		echo "--- $*"
		cat "$out/output"
		bad=1
	fi
}

sources() {
	find "$@" -name '*.[ch]' -not -path '*/build/*' | sort
}

# checkpatch IGNORED FILE...
checkpatch() {
	"$SOURCE/scripts/checkpatch.pl" --strict --no-tree --terse --show-types --no-summary --quiet \
		${1:+--ignore "$1"} -f "${@:2}"
}

kernel_style() {
	local files
	mapfile -t files < <(sources kmod tests/kunit tests/modules | grep -v -e '^kmod/compat.h$' -e '/exports.c$')
	checkpatch '' "${files[@]}"
	# symbols for the tests, away from where they are defined
	checkpatch EXPORT_SYMBOL tests/kunit/exports.c
	# the one file that knows kernel versions
	checkpatch LINUX_VERSION_CODE,CONSTANT_COMPARISON kmod/compat.h
	# BIT() is not there for programs
	checkpatch BIT_MACRO uapi/linux/kscope.h
}

# advice to use what only the kernel has
kernel_only=BIT_MACRO,MEMORY_BARRIER,PREFER_DEFINED_ATTRIBUTE_MACRO,PREFER_FALLTHROUGH,STRCPY
kernel_only+=,USE_NEGATIVE_ERRNO,VOLATILE
# the harness' macros look like statements and are blocks; vectors and argument lists look like sloppy strings;
# tables are made of macros
in_tests=BRACES,SPACING,SPLIT_STRING,MISSING_SPACE,STATIC_CONST_CHAR_ARRAY,TRAILING_SEMICOLON
in_tests+=,MACRO_ARG_UNUSED,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE
# clang-format decides on these
in_tests+=,OPEN_ENDED_LINE,LEADING_SPACE,POINTER_LOCATION

user_style() {
	local files
	mapfile -t files < <(sources userspace)
	checkpatch "$kernel_only" "${files[@]}"
	mapfile -t files < <(sources tests/model)
	checkpatch "$kernel_only" "${files[@]}"
	# OpenSSL's names
	mapfile -t files < <(sources tests/bench)
	checkpatch "$kernel_only,CAMELCASE" "${files[@]}"
	mapfile -t files < <(sources tests/selftests tests/soak tests/fuzz)
	checkpatch "$kernel_only,$in_tests" "${files[@]}"
}

# sparse_and_warnings KERNEL
sparse_and_warnings() {
	local KVER KDIR
	eval "$(tests/vm/kernel.sh "$1")"
	make --no-print-directory module KDIR="$KDIR" kmod="$out/kmod-$KVER" LOG="$out/log-$1" \
		KSCOPE_TESTS=1 KSCOPE_BENCH=1 KCFLAGS=-Werror KBUILD_ARGS=C=2
	grep -E 'warning:|WARNING:|error:' "$out/log-$1" || true
}

user_bugs() {
	local options=(--quiet "--enable=warning,performance,portability" --inline-suppr --error-exitcode=1 -j "$(nproc)"
		--library=gnu -D_GNU_SOURCE -Iuapi -Iuserspace/include)
	cppcheck "${options[@]}" -Iuserspace/lib userspace
	cppcheck "${options[@]}" -Ikmod tests/model
	cppcheck "${options[@]}" tests/bench
	# -U: it would also try the tests with the harness' include guards defined
	cppcheck "${options[@]}" "-I$SOURCE/tools/testing/selftests" "--suppress=*:$SOURCE/*" \
		-U__KSELFTEST_H -U__KSELFTEST_HARNESS_H tests/selftests
}

layout() {
	local files
	mapfile -t files < <(sources kmod uapi userspace tests)
	clang-format --dry-run -Werror "${files[@]}"
}

# What docs/features.md names has to be there.
features() {
	local name
	# shellcheck disable=SC2016 # these are no commands
	grep -oE '`(kunit: [a-z_]+|[a-z_0-9]+_test|tool_[a-z]+)`' docs/features.md | tr -d '`' | sort -u | while read -r name; do
		case $name in
		kunit:*) [[ -e tests/kunit/${name#kunit: }_test.c ]] ;;
		tool_*) [[ -e tests/selftests/tool/$name.sh ]] ;;
		*) [[ -e tests/selftests/$name.c ]] ;;
		esac || echo "docs/features.md: there is no test $name"
	done
	grep -E '^\|' docs/features.md | sed 's/.*|\([^|]*\)|$/\1/' | grep -oE '\b[0-9]+\b' | sort -u | while read -r name; do
		compgen -G "tests/mutants/$name-*.patch" >/dev/null || echo "docs/features.md: there is no planted bug $name"
	done
}

show features
show kernel_style
show user_style
show sparse_and_warnings 6.12
show sparse_and_warnings 6.1
show user_bugs
show layout
exit "$bad"
