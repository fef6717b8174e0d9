#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: runs the KUnit tests, which are a module of their own, and prints their results as TAP.

modprobe kscope_kunit || exit 1
cat /sys/kernel/debug/kunit/kscope*/results >/tmp/kunit.txt
rmmod kscope_kunit || exit 1
cat /tmp/kunit.txt | awk '
	$1 == "#" && $2 == "Subtest:" { suite = $3 }
	/^    (ok|not ok) / {
		nr++
		result = $1 == "ok" ? "ok" : "not ok"
		sub(/^ *(not )?ok [0-9]+ (- )?/, "")
		print result, nr, suite "." $0
		next
	}
	{ print "#", $0 }
	END { print "1.." nr }'
