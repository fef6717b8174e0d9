#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/lint.sh		(make lint): prints nothing, or what is wrong
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$TOP"

"$TOP/tests/setup.sh" lint
eval "$(tests/vm/kernel.sh source)"
out=$TOP/build/lint
rm -rf "$out"
mkdir -p "$out"
bad=0

# show COMMAND...: its output, if it fails or says anything
show() {
	local ret=0
	"$@" >"$out/output" 2>&1 </dev/null || ret=$?
	if ((ret)) || [[ -s $out/output ]]; then
		echo "--- $1"
		cat "$out/output"
		bad=1
	fi
}

sources() {
	find "$@" -name '*.[ch]' -not -path '*/build/*' | sort
}

checkpatch() {
	"$SOURCE/scripts/checkpatch.pl" --strict --no-tree --terse --show-types --no-summary --quiet "$@"
}

kernel_style() {
	# FILE_PATH_CHANGES, SPDX tag of new headers etc. are about patches, not files.
	# NEW_TYPEDEFS and the like stay on.
	checkpatch -f $(sources kmod uapi tests/kunit tests/modules)
}

user_style() {
	checkpatch -f $(sources userspace tests/selftests)
}

# sparse_and_warnings KERNEL
sparse_and_warnings() {
	local KVER KDIR
	eval "$(tests/vm/kernel.sh "$1")"
	make --no-print-directory module KDIR="$KDIR" kmod="$out/kmod-$KVER" LOG="$out/log-$1" \
		KSCOPE_TESTS=1 KCFLAGS=-Werror KBUILD_ARGS=C=2
	grep -E 'warning:|WARNING:|error:' "$out/log-$1" || true
}

user_bugs() {
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		-D_GNU_SOURCE -Iuapi -Iuserspace/include -Iuserspace/lib userspace
	cppcheck --quiet --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		-D_GNU_SOURCE -Iuapi -Iuserspace/include tests/selftests
}

layout() {
	clang-format --dry-run -Werror $(sources kmod uapi userspace tests)
}

show kernel_style
show user_style
show sparse_and_warnings 6.12
show sparse_and_warnings 6.1
show user_bugs
show layout
exit "$bad"
