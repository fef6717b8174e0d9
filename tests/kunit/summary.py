#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""usage: summary.py result.json test.log [FILE]: counts what kunit.py ran, writes "passed failed skipped" to FILE.

Also a failure: no test at all, and a complaint in the kernel's log.
"""
import json
import os
import re
import sys

TROUBLE = re.compile(r"WARNING:|BUG:|Call Trace|Kernel panic|possible (circular|recursive)|inconsistent lock|"
                     r"suspicious RCU|ODEBUG|list_(add|del) corruption|scheduling while atomic|sleeping function|"
                     r"refcount_t|Objects remaining|leaked")


def cases(group):
    for sub in group["sub_groups"]:
        yield from cases(sub)
    for case in group["test_cases"]:
        yield case["status"]


def main():
    result, log, *report = sys.argv[1:]
    statuses = []
    if os.path.exists(result):
        with open(result) as f:
            statuses = list(cases(json.load(f)))
    with open(log, errors="replace") as f:
        lines = f.read().split("\n")
    trouble = [i for i, line in enumerate(lines) if TROUBLE.search(line)]
    if trouble:
        print("kernel log:")
        print("\n".join("       | " + line for line in lines[max(0, trouble[0] - 10):trouble[0] + 50]))
    passed, skipped = statuses.count("PASS"), statuses.count("SKIP")
    failed = len(statuses) - passed - skipped + bool(trouble) + (not statuses)
    reasons = [m[1] + ": " + m[2] for line in lines if (m := re.search(r"ok \d+ (\S+) # SKIP (.*)", line))]
    if report:
        with open(report[0], "w") as f:
            f.write(f"{passed} {failed} {skipped}\n" + "".join(r + "\n" for r in reasons))
    print(f"== KUnit: {passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
