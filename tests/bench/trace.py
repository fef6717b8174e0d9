#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of one child go: usage: tests/bench/trace.py [BATCH [SUBJECT [BENCH]]]	(make bench-trace)

Lets a bench (spawn) run in a guest under QEMU's icount, records for a moment each block of code that is executed, of
user and kernel alike, and prints how many instructions each function takes for one child. The sum is what the bench
measures. `tests/bench/run.sh` has built what it needs.
"""
import base64
import bisect
import collections
import glob
import gzip
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BENCH = os.path.join(TOP, "build/bench/obj/bench")
ROUND = {"kscope": "kscope_spawn_wait", "io_uring": "io_uring_submit_and_wait",
         "queue_work": "naive_nop_round"}  # is called once in a round


def start(batch, subject, bench, work):
    modules = glob.glob(TOP + "/build/bench-*/kscope.ko")
    if not modules or not os.path.exists(BENCH):
        sys.exit("tests/bench/trace.py: nothing is built: run make bench-quick first")
    command = ("gzip -c /proc/kallsyms | base64 | sed 's/^/#symbols /'; "
               f"bench -n 32 -t 10000 -s {subject} -b {batch} {bench}")
    return subprocess.Popen(
        [TOP + "/tests/vm/run", "--append", "nokaslr cryptomgr.notests kfence.sample_interval=0", "--module", modules[0],
         "--module", glob.glob(os.path.dirname(modules[0]) + "/tests/modules/kscope_naive.ko")[0],
         "--qemu", f"-d in_asm,nochain -D {work}/log -monitor unix:{work}/monitor,server,nowait",
         "--timeout", "600", "--add", BENCH + ":/bin/bench", "--", command],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
        env=dict(os.environ, ACCEL="icount"))


def wait_for_bench(guest):
    """Return: the kernel's symbols"""
    packed = []
    for line in guest.stdout:
        if line.startswith("#symbols "):
            packed.append(line[9:].strip())
        elif line.startswith("bench "):
            return gzip.decompress(base64.b64decode("".join(packed))).decode()
    sys.exit("tests/bench/trace.py: the bench did not start")


def record(work):
    time.sleep(2)
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(work + "/monitor")
        for command, seconds in (("", 0.2), ("log in_asm,exec,nochain", 0.8), ("log none", 0.3), ("quit", 0.3)):
            monitor.send(command.encode() + b"\n")
            time.sleep(seconds)


class Symbols:
    def __init__(self, kernel, program):
        nm = subprocess.run(["nm", program], stdout=subprocess.PIPE, text=True, check=True).stdout
        table = [line.split() for line in kernel.splitlines()]
        names = [(int(w[0], 16), " ".join(w[2:])) for w in table if w[1] in "tT"]
        names += [(int(w[0], 16), w[2] + " (user)") for w in map(str.split, nm.splitlines())
                  if len(w) == 3 and w[1] in "tTwWi"]
        self.names = sorted(names)
        self.addresses = [address for address, _ in self.names]

    def at(self, address):
        i = bisect.bisect_right(self.addresses, address) - 1
        return self.names[i][1] if i >= 0 else "?"

    def find(self, name):
        return next(address for address, n in self.names if n == name)


def read_log(path):
    """Return: instructions of each block, and how often each was executed"""
    length, executed, block, nr = {}, collections.Counter(), None, 0
    with open(path, errors="replace") as log:
        for line in log:
            if line.startswith("0x"):
                block, nr = (block or int(line.split(":")[0], 16)), nr + 1
                length[block] = max(length.get(block, 0), nr)  # blocks that were cut short are translated again
                continue
            block, nr = None, 0
            if line.startswith("Trace"):
                executed[int(re.search(r"\[[0-9a-f]+/([0-9a-f]+)/", line)[1], 16)] += 1
    return length, executed


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    subject = sys.argv[2] if len(sys.argv) > 2 else "kscope"
    bench = sys.argv[3] if len(sys.argv) > 3 else "spawn"
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        guest = start(batch, subject, bench, work)
        symbols = Symbols(wait_for_bench(guest), BENCH)
        record(work)
        os.killpg(guest.pid, signal.SIGKILL)
        length, executed = read_log(work + "/log")
    rounds = executed[symbols.find(ROUND[subject.split("-")[0]] + " (user)")]
    cost = collections.Counter()
    for block, times in executed.items():
        cost[symbols.at(block)] += times * length[block] / rounds / batch
    print(f"{sum(cost.values()):.1f} instructions for a child, batch {batch}, {rounds} rounds")
    for name, instructions in cost.most_common():
        if instructions >= 0.05:
            print(f"{instructions:9.2f} {name}")


if __name__ == "__main__":
    main()
