#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/kunit/run.sh [--report FILE] [FILTER]
#
# Builds User Mode Linux with the project inside, from the linux-source-6.12 package, and runs the KUnit suites
# with the kernel's own kunit.py. Everything is in the cache, so that only what changed is built again.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

report=
if [[ ${1-} == --report ]]; then
	report=$2
	shift 2
fi

# The package's source stays as it is: this is a tree of links to it, with drivers/misc/kscope added.
make_tree() {
	local dir
	find "$CACHE" -maxdepth 1 -name 'kunit-*' ! -path "$work" -exec rm -rf {} + # of older sources
	rm -rf "$tree" "$tree.new"
	mkdir -p "$tree.new/drivers/misc" "$tree.new/tools/testing"
	for dir in . drivers drivers/misc tools tools/testing; do
		find "$SOURCE/$dir" -mindepth 1 -maxdepth 1 -print0 | while IFS= read -r -d '' path; do
			[[ -d $tree.new/$dir/${path##*/} ]] || ln -s "$path" "$tree.new/$dir/"
		done
	done
	# kunit.py works in the tree that it really is in
	rm "$tree.new/tools/testing/kunit" "$tree.new"/drivers/misc/{Makefile,Kconfig}
	cp -r "$SOURCE/tools/testing/kunit" "$tree.new/tools/testing/"
	{ cat "$SOURCE/drivers/misc/Makefile"; echo 'obj-y += kscope/'; } >"$tree.new/drivers/misc/Makefile"
	{ cat "$SOURCE/drivers/misc/Kconfig"; echo 'source "drivers/misc/kscope/tests/kunit/Kconfig"'; } \
		>"$tree.new/drivers/misc/Kconfig"
	mv "$tree.new" "$tree"
}

# make goes by time, and several checkouts share this tree: a file is copied when its content differs
copy_project() {
	local dest=$tree/drivers/misc/kscope file
	mkdir -p "$dest"
	(cd "$dest" && find . -type f) | while read -r file; do
		[[ -f $TOP/$file ]] || rm -f "$dest/$file"
	done
	(cd "$TOP" && find Kbuild kmod uapi tests/kunit -type f) | while read -r file; do
		cmp -s "$TOP/$file" "$dest/$file" || install -D -m 644 "$TOP/$file" "$dest/$file"
	done
}

eval "$("$TOP/tests/vm/kernel.sh" source)"
work=$CACHE/kunit-$(basename "$SOURCE")
tree=$work/linux
mkdir -p "$work"
exec 8>"$work/lock"
flock -n 8 || { say "waiting for another run of KUnit"; flock 8; }
[[ -d $tree ]] || make_tree
copy_project
kunit=$tree/tools/testing/kunit/kunit.py
common=(--build_dir "$work/build" --kunitconfig "$TOP/tests/kunit/kunitconfig")
run_slow "configuring User Mode Linux" python3 "$kunit" config "${common[@]}"
run_slow "building User Mode Linux" python3 "$kunit" build "${common[@]}" --jobs "$(nproc)"
rm -f "$work/result.json" "$work/build/test.log"
python3 "$kunit" exec --build_dir "$work/build" --timeout 240 --json="$work/result.json" "$@" </dev/null |
	grep -v -e '\] =*$' -e '^Running tests' -e '^\$' -e 'Test results stored' || true
exec "$TOP/tests/kunit/summary.py" "$work/result.json" "$work/build/test.log" ${report:+"$report"}
