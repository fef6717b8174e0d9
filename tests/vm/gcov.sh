#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: the counters of lines that the kernel keeps of the module, as TAP with an archive in base64 between.
# The module goes and comes back first, so that its last lines count too; the kernel adds what unloaded ones had.

modules=$(cat /rig/modules)
reversed=
for m in $modules; do reversed="$m $reversed"; done
for m in $reversed; do rmmod "$m"; done
for m in $modules; do modprobe "$m"; done

# files of debugfs have no size that tar could trust
cd /sys/kernel/debug/gcov || exit 1
find . -name '*.gcda' >/tmp/gcov.list
while read -r file; do
	mkdir -p "/tmp/gcov/${file%/*}"
	cat "$file" >"/tmp/gcov/$file"
done </tmp/gcov.list
found=$(wc -l </tmp/gcov.list)
echo 1..1
if [ "$found" = 0 ]; then
	echo "not ok 1 the kernel has no counters: is the module built with KSCOPE_GCOV=1?"
	exit 1
fi
tar -C /tmp/gcov -cz . | base64 | sed 's/^/#gcov /'
echo "ok 1 counters of $found objects"
