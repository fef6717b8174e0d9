#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Say which lines and branches of the module the tests reached.

usage: tests/coverage/report.py OBJECTS KNOWN REPORT

OBJECTS has the compiler's .gcno files and beside them the guest's .gcda files. KNOWN lists the lines that no test can
reach, as paragraphs: the reason, in lines that start with "#"; "FILE FUNCTION" ("-" where the compiler gives none); the
source lines, indented. REPORT is written. Fails if a line that KNOWN does not list is unreached, and if one that it lists is not.

hooks.c, hooks.h and recount.c are left out: they are only there in builds for tests.
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LEFT_OUT = ("kmod/hooks.c", "kmod/hooks.h", "kmod/recount.c")
JUMP = re.compile(r"\s+(return|goto|break|continue)\b")


class Line:
    """A line of the source, which may be in several objects (if it is in a header) and in several functions."""

    def __init__(self):
        self.count, self.function, self.branches = 0, None, {}

    def add(self, data):
        self.count += data["count"]
        self.function = self.function or data.get("function_name")
        for i, branch in enumerate(data["branches"]):
            key = data.get("function_name"), i
            self.branches[key] = self.branches.get(key, 0) + branch["count"]

    def could_be_passed_by(self):
        return not self.count or any(not count for count in self.branches.values())

    def taken(self):
        return sum(1 for count in self.branches.values() if count)


def read_counters(objects):
    """The lines of the module: file -> number -> Line"""
    files = collections.defaultdict(lambda: collections.defaultdict(Line))
    for counters in sorted(glob.glob(os.path.join(objects, "kmod/**/*.gcda"), recursive=True)):
        out = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities", counters],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
        for file in json.loads(out)["files"]:
            # the compiler saw it as .../build/gcov-<release>/kmod/...
            name = "kmod/" + file["file"].rpartition("/kmod/")[2]
            if "/kmod/" in file["file"] and name not in LEFT_OUT:
                for data in file["lines"]:
                    files[name][data["line_number"]].add(data)
    return files


def read_source(name):
    with open(os.path.join(TOP, name)) as f:
        return f.read().split("\n")


def condition_start(source, number):
    """Where the condition that ends on this line starts; a condition may be longer than a line"""
    while number and not re.match(r"\s*(\} else )?(if|while|for) \(", source[number - 1]):
        if source[number - 1].rstrip().endswith((";", "{", "}", ":")):
            return None
        number -= 1
    return number


def add_silent(lines, source):
    """Judge jumps that have no code of their own, such as "return -ENOMEM", by the condition before them.

    The condition's line has a branch that was never taken, and what follows the jump was reached as often as the
    condition: then the jump was not. Returns the numbers of those that cannot be judged so.
    """
    counted, unsure = sorted(lines), []
    for number in [i for i, text in enumerate(source, 1) if JUMP.match(text) and i not in lines]:
        above = max((i for i in counted if i < number), default=0)
        below = min((i for i in counted if i > number), default=0)
        start = condition_start(source, number - 1)
        if (start not in lines or above < start or not lines[above].branches or not below
                or lines[above].function != lines[below].function):
            unsure.append(number)
            continue
        passed_by = lines[above].could_be_passed_by() and lines[below].count >= lines[start].count
        lines[number].count = 0 if passed_by else 1
        lines[number].function = lines[above].function
    return unsure


def unreached(files):
    """(file, function, text) of each line that was not reached -> its numbers"""
    found = collections.defaultdict(list)
    for name, lines in files.items():
        source = read_source(name)
        for number, line in lines.items():
            if not line.count:
                found[name, line.function or "-", source[number - 1].strip()].append(number)
    return found


def read_known(path):
    """(file, function, text) -> how often it is listed"""
    known, where, reason = collections.Counter(), None, False
    with open(path) as f:
        for number, row in enumerate(f, 1):
            if not row.strip():
                where, reason = None, False
            elif row.startswith("#"):
                reason = True
            elif row[0].isspace():
                if not where:
                    sys.exit(f"{path}:{number}: which file and function is this in?")
                known[(*where, row.strip())] += 1
            else:
                where = tuple(row.split())
                if not reason or len(where) != 2:
                    sys.exit(f"{path}:{number}: a paragraph is a reason, then FILE FUNCTION, then source lines")
    return known


def percent(part, whole):
    return f"{part}/{whole}".rjust(10) + f"{100 * part / whole if whole else 100:7.1f} %"


def table(files):
    rows, sums = [], [0, 0, 0, 0]
    for name, lines in sorted(files.items()):
        row = [sum(1 for line in lines.values() if line.count), len(lines),
               sum(line.taken() for line in lines.values()), sum(len(line.branches) for line in lines.values())]
        sums = [a + b for a, b in zip(sums, row)]
        rows.append((name, row))
    return [f"{name:<24}{percent(*row[:2])}{percent(*row[2:])}" for name, row in rows + [("total", sums)]]


def untaken(files):
    for name, lines in sorted(files.items()):
        source = read_source(name)
        for number, line in sorted(lines.items()):
            if line.count and line.taken() < len(line.branches):
                yield (f"{name}:{number}: {len(line.branches) - line.taken()} of {len(line.branches)}: "
                       + source[number - 1].strip())


def main():
    if len(sys.argv) != 4:
        sys.exit("\n".join(__doc__.split("\n")[2:3]))
    objects, known_file, report = sys.argv[1:]
    files, known = read_counters(objects), read_known(known_file)
    if not files:
        sys.exit(f"no counters of the module in {objects}")
    unsure = [f"{name}:{number}: {read_source(name)[number - 1].strip()}" for name, lines in sorted(files.items())
              for number in add_silent(lines, read_source(name))]
    found = unreached(files)
    new, gone, listing = [], [], []
    for key, numbers in sorted(found.items(), key=lambda item: (item[0][0], item[1])):
        excess = len(numbers) - known[key]
        name, function, text = key
        rows = [f"{name}:{number}: {function}(): {text}" for number in numbers]
        listing += [row + ("" if excess > 0 else "    [known]") for row in rows]
        new += rows if excess > 0 else []
    for (name, function, text), times in known.items():
        if times > len(found.get((name, function, text), ())):
            gone.append(f"{name} {function}(): {text}")
    sums = table(files)
    with open(report, "w") as f:
        f.write("\n".join([f"{'':<24}{'lines reached':>19}{'branches taken':>19}"] + sums
                          + ["", "Lines not reached:"] + listing
                          + ["", "Lines without code of their own, which are not judged:"] + unsure
                          + ["", "Branches not taken in lines that were:"] + list(untaken(files))) + "\n")
    for row in new:
        print(f"not reached: {row}")
    for row in gone:
        print(f"reached, or not there any more, but listed in {os.path.relpath(known_file, TOP)}: {row}")
    print(f"{len(files)} files, lines and branches reached: {' '.join(sums[-1].split()[1:])}; "
          f"{len(new)} lines unreached that are not listed, {len(gone)} listed ones that are")
    return 1 if new or gone else 0


if __name__ == "__main__":
    sys.exit(main())
