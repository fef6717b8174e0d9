#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make one page and plots of the figures of the benches.

usage: tests/bench/report.py RESULTS.csv DIRECTORY KERNEL-RELEASE

Writes report.md and *.svg there. Asserts nothing: whether a target is met is a column.
"""
import csv
import math
import os
import statistics
import subprocess
import sys

OURS = ("kscope", "kscope-worker", "kscope-inline")
# They do something else: not the work, or not in parallel.
NO_PEERS = ("one-thread",)


class Results:
    def __init__(self, path):
        self.rows = {}
        with open(path) as f:
            for row in csv.DictReader(f):
                self.rows[row["mode"], row["bench"], int(row["batch"]), row["subject"]] = row

    def get(self, mode, bench, batch, subject, column="median"):
        row = self.rows.get((mode, bench, batch, subject))
        return float(row[column]) if row else None

    def benches(self, mode):
        """(bench, batch) in the order of measuring"""
        return list(dict.fromkeys((b, n) for m, b, n, _ in self.rows if m == mode))

    def batches(self, mode, bench):
        return sorted(n for b, n in self.benches(mode) if b == bench)

    def subjects(self, mode, bench, batch=None):
        return list(dict.fromkeys(s for m, b, n, s in self.rows if (m, b) == (mode, bench) and batch in (None, n)))

    def best_peer(self, mode, bench, batch):
        """(figure, name) of the cheapest of the others"""
        peers = [(self.get(mode, bench, batch, s), s) for s in self.subjects(mode, bench, batch)
                 if s not in OURS + NO_PEERS]
        return min(peers, default=(None, None))

    def spread(self, mode):
        """Half of the figures of that mode lie within this fraction of their median"""
        rows = [r for (m, *_), r in self.rows.items() if m == mode and int(r["runs"]) > 1]
        return statistics.median((float(r["max"]) - float(r["min"])) / float(r["median"]) for r in rows)

    def unit(self, mode, bench, batch):
        return next(r["unit"] for (m, b, n, _), r in self.rows.items() if (m, b, n) == (mode, bench, batch))


def number(value):
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}"


def ratio(ours, theirs):
    return f"{ours / theirs:.2f}" if ours is not None and theirs and theirs > 0 else ""


def size(batch):
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if batch >= 1 << shift and batch % (1 << shift) == 0:
            return f"{batch >> shift} {unit}"
    return f"{batch} B"


def batch_name(bench, batch):
    if bench.startswith(("pin", "copy", "crc32c", "sha256", "file-read", "memory-pinned")):
        return size(batch)
    return f"{batch:,}"


class Target:
    """One line of the table: what was measured, and is it at most (or at least) the limit?"""

    def __init__(self, name, limit, measured, at_least=False, peer=""):
        self.name, self.limit, self.measured, self.at_least, self.peer = name, limit, measured, at_least, peer

    def line(self):
        word = "≥" if self.at_least else "≤"
        if self.measured is None:
            verdict, shown = "not measured", ""
        else:
            met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
            verdict = "met" if met else "**not met**"
            shown = f"{self.measured:,.2f}" if self.measured < 10 else number(self.measured)
        return f"| {self.name} | {word} {self.limit:,} | {shown} | {verdict} | {self.peer} |"


def over(a, b):
    return a / b if a is not None and b else None


def targets(res):
    def peers(bench, batch):
        best, name = res.best_peer("icount", bench, batch)
        return f"{name} {number(best)}" if name else ""

    def cost(name, limit, bench, batch, subject="kscope"):
        return Target(name, limit, res.get("icount", bench, batch, subject), peer=peers(bench, batch))

    def speed(name, limit, bench, batch, others):
        def times(column):
            theirs = [res.get("wall", bench, batch, s, column) for s in others]
            return over(min(theirs), res.get("wall", bench, batch, "kscope", column)) if all(theirs) else None
        best = times("min")
        return Target(name, limit, times("median"), True, f"best turns: {best:.2f}" if best else "")

    yield cost("spawn, batch 256: instructions per child", 150, "spawn", 256)
    yield cost("spawn, batch 32", 200, "spawn", 32)
    yield cost("latency, the waiter helps", 1300, "latency", 1)
    yield cost("latency, through a worker", 7500, "latency", 1, "kscope-worker")
    yield cost("latency, inline scope", 950, "latency", 1, "kscope-inline")
    growth = [res.get("icount", "growth-children", n, "kscope") for n in (1000, 10000, 100000, 1000000)]
    spread = max(growth) / min(growth) if all(growth) else None
    yield Target("growth: dearest by cheapest child, from 1,000 to 1,000,000", 1.1, spread)
    yield cost("cancel, 100,000 queued: instructions per child", 100, "cancel", 100000)
    worst = [over(res.get("icount", "scope", n, "kscope"), res.get("icount", "scope", n, "io_uring"))
             for n in res.batches("icount", "scope")]
    yield Target("scope create + release, by io_uring setup + exit; worst capacity", 1.0,
                 max(worst) if worst and all(worst) else None)
    gib = [res.get("icount", "pin-4k-pages", 1 << 30, s) for s in ("kscope", "io_uring")]
    yield Target("pin + unpin 1 GiB of 4 KiB pages, by io_uring register + unregister", 1.0, over(*gib))
    for op in ("copy", "copy8", "crc32c", "sha256"):
        for limit, peer in ((1.8, "one-thread"), (1.0, "pthread-pool")):
            yield speed(f"{op}, 64 KiB, 2 processors, wall: times as fast as {peer}", limit, op, 65536, (peer,))
    yield speed("file-read 4 KiB buffered, wall: times as fast as io_uring-async", 1.0, "file-read-buffered", 4096,
                ("io_uring-async", "io_uring-async-defer"))


def figures(res, mode):
    shown = [s for s in OURS if any(k[0] == mode and k[3] == s for k in res.rows)]
    yield "| bench | batch | unit | " + " | ".join(shown) + " | best peer | kscope by best peer |"
    yield "|---|--:|---|" + "--:|" * len(shown) + "---|--:|"
    for bench, batch in res.benches(mode):
        ours = [res.get(mode, bench, batch, s) for s in shown]
        best, name = res.best_peer(mode, bench, batch)
        if all(v is None for v in ours):
            continue
        yield (f"| {bench} | {batch_name(bench, batch)} | {res.unit(mode, bench, batch)} | " +
               " | ".join(number(v) for v in ours) + f" | {name + ' ' + number(best) if name else ''} | "
               f"{ratio(ours[0], best)} |")


MODES = {
    "icount": "## Instructions (icount)\n\nOne processor; a nanosecond of the guest's clock is one instruction, of user or "
              "kernel alike. Repeatable on any machine. For one child, scope or call; memory is in bytes. Instructions are "
              "not time: `copy` moves 32 bytes with one in user space, and 8 in the kernel; `copy8` moves 8 in both.",
    "wall": "## Time (wall)\n\nTwo processors, and the clock on the wall. Emulated, unless KVM works: then only the "
            "ratios mean something, and those of code that is emulated badly do not.",
}


def write_report(res, out, release):
    lines = ["# What kscope costs", "",
             f"Linux {release}. Medians; `results.csv` has minimum, maximum and the number of runs. Each subject ran "
             "in a process of its own, in the same guest, and they took turns. A figure counts everything from the "
             "descriptor to the completion that was read and checked.", "",
             "## Targets", "", "| target | limit | measured | | best peer, or how good it can be |", "|---|--:|--:|---|---|"]
    lines += [t.line() for t in targets(res)]
    for mode, text in MODES.items():
        if res.benches(mode):
            noise = f"Between the turns, half of the figures varied by less than {res.spread(mode):.1%} of their median."
            lines += ["", f"{text} {noise}", ""] + list(figures(res, mode))
    with open(os.path.join(out, "report.md"), "w") as f:
        f.write("\n".join(lines) + "\n")


COLOURS = {"kscope": "#c00000", "kscope-worker": "#e07000", "kscope-inline": "#d0a000", "io_uring": "#0060c0",
           "io_uring-async": "#40a0e0", "io_uring-async-defer": "#80c8f0", "pthread-pool": "#208020",
           "thread-per-task": "#80c080", "queue_work": "#606060", "one-thread": "#a060c0"}

# kscope and kscope-inline often lie on top of each other
WIDTHS = {"kscope": "lw 5", "kscope-worker": "lw 3", "kscope-inline": "lw 2 dt 2"}


def block(name, points):
    return f"${name} << END\n" + "\n".join(" ".join(str(v) for v in p) for p in points) + "\nEND\n"


def curves(res, mode, bench, title, x, y, scale=lambda figure, batch: figure):
    """One line for each subject, by batch"""
    data, plots = "", []
    if len(res.batches(mode, bench)) < 2:
        return ""
    for i, subject in enumerate(res.subjects(mode, bench)):
        points = [(n, scale(res.get(mode, bench, n, subject), n)) for n in res.batches(mode, bench)
                  if res.get(mode, bench, n, subject)]
        if points:
            data += block(f"d{i}", points)
            colour = COLOURS.get(subject, "#000000")
            plots.append(f"$d{i} using 1:2 with linespoints {WIDTHS.get(subject, 'lw 1.5')} pt 7 ps 0.6 "
                         f"lc rgb '{colour}' title '{subject}'")
    if not plots:
        return ""
    return (data + f"set title '{title}'\nset xlabel '{x}'\nset ylabel '{y}'\nset logscale xy\nset grid\n"
            "set key outside right noenhanced\nset format y '%.0s%c'\nset format x '%.0s%c'\nplot " +
            ", ".join(plots) + "\n")


def bars(res, mode):
    """kscope by its best peer, for each bench"""
    points = []
    for bench, batch in res.benches(mode):
        ours, (best, _) = res.get(mode, bench, batch, "kscope"), res.best_peer(mode, bench, batch)
        if ours and best and ours > 0 and best > 0 and bench != "latency":
            points.append((f'"{bench} {batch_name(bench, batch)}"', f"{ours / best:.3f}"))
    if not points:
        return ""
    data = block("bars", [(i, label, value) for i, (label, value) in enumerate(points)])
    top = max(2.0, max(float(v) for _, v in points))
    low = min(0.5, min(float(v) for _, v in points))
    return (data + f"set title 'kscope by its best peer ({mode}): below 1 is cheaper'\nset logscale x 2\n"
            f"set xrange [{2 ** math.floor(math.log2(low))}:{2 ** math.ceil(math.log2(top))}]\n"
            f"set yrange [{len(points) - 0.5}:-0.5]\n"
            "set grid x\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 2\nset ytics noenhanced font ',9'\n"
            "set style fill solid 0.8\nunset key\n"
            "plot $bars using (1):1:(1):3:($1-0.35):($1+0.35):ytic(2) with boxxyerror "
            "lc rgb '#c00000'\n", 120 + 18 * len(points))


def draw(out, name, script, height=480):
    if not script:
        return
    path = os.path.join(out, name + ".svg")
    text = f"set terminal svg size 900,{height} background rgb 'white' font 'sans,12'\nset output '{path}'\n" + script
    subprocess.run(["gnuplot"], input=text, text=True, check=True)


def draw_all(res, out):
    for mode, unit in (("icount", "instructions"), ("wall", "ns")):
        draw(out, f"spawn-{mode}", curves(res, mode, "spawn", f"A child that does nothing ({mode})",
                                          "children in one call", f"{unit} per child"))
        drawn = bars(res, mode)
        if drawn:
            draw(out, f"ratios-{mode}", *drawn)
    draw(out, "growth-children", curves(res, "icount", "growth-children", "Children through one scope (icount)",
                                        "children", "instructions per child"))
    draw(out, "growth-scopes", curves(res, "icount", "growth-scopes", "Children of many scopes (icount)",
                                      "scopes", "instructions per child"))
    for op in ("copy", "copy8", "crc32c", "sha256"):
        draw(out, op, curves(res, "wall", op, f"{op} (wall)", "bytes of one child", "MB/s",
                             lambda ns, piece: piece / ns * 1000))


def main():
    path, out, release = sys.argv[1:]
    res = Results(path)
    write_report(res, out, release)
    draw_all(res, out)


if __name__ == "__main__":
    main()
