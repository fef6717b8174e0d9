#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# usage: tests/vm/demo.sh	(make demo): boots a guest with at least 200 MB of this machine's files and shows
# what kscope does there; tests/vm/demo-guest.sh is the part that runs inside.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"

bytes=$((200 << 20))
kernel=${KERNEL:-6.12}

# The biggest files come first, but those above 16 MB last; names that the lists could not hold stay out.
biggest_files() {
	find /usr/bin /usr/lib -xdev -type f -readable ! -name '*[[:space:]:\\]*' -printf '%s %p\n' |
		awk '{ print ($1 > 16e6), $0 }' | LC_ALL=C sort -k1,1n -k2,2nr -k3 |
		awk -v want="$bytes" 'sum < want { sum += $2; print $3 }'
}

"$TOP/tests/build.sh" module "$kernel"
"$TOP/tests/build.sh" userspace
"$TOP/tests/build.sh" hazards kscope
eval "$("$TOP/tests/vm/kernel.sh" "$kernel")"
module=$TOP/build/kmod-$KVER/kscope.ko

mapfile -t files < <(biggest_files)
say "taking ${#files[@]} files of this machine, $(du -clLm --apparent-size "${files[@]}" | tail -n 1 | cut -f1) MB"
add=()
for file in "${files[@]}"; do
	add+=(--add "$file:/files$file")
done
say "building the guest's disk and starting Linux $kernel in it"
"$TOP/tests/vm/run" --kernel "$kernel" --module "$module" --slow-disk --timeout 600 "${add[@]}" \
	--add "$TOP/build/hazards/hazards-kscope:/bin/hazards" --add "$TOP/tests/vm/demo-guest.sh:/demo.sh" -- sh /demo.sh </dev/null
say "no page is pinned, the kernel's log is clean, and the module could be unloaded"
