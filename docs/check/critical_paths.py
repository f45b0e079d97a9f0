"""Critical paths of host threads beside those that Trace Compass computed from the same trace.

usage: critical_paths.py VIRTFLOW STORE PATHS

VIRTFLOW is the program, STORE the trace or a store of it, PATHS a folder of files TID.tsv as the recordings have them in
trace-compass/critical-paths.tar.xz: lines "H from to state qualifier tid name", times in nanoseconds of the epoch. Of
each path the share of the time is printed in which both name the same thread and the same kind of time (running, kept
from running, timer, disk, network, task, other interrupt), then what the rest is.

Trace Compass takes threads of the kernel that sleep idly for pre-empted: their prev_state is 128 (TASK_REPORT_IDLE,
include/linux/sched.h), which is no sleep to it. Paths in which it says so are counted apart. What a hard interrupt ends
it tells as blocked, whatever the interrupt was about: where a disk's request was completed in it (virtio), that is a
wait for the disk here, and counts as the same.
"""

import collections, glob, json, os, subprocess, sys

program, store, folder = sys.argv[1:4]
THEIRS = {
    "RUNNING": "running", "PREEMPTED": "kept", "TIMER": "timer", "BLOCKED": "blocked", "NETWORK": "net",
    "BLOCK_DEVICE": "disk", "INTERRUPTED": "interrupt", "IPI": "interrupt", "USER_INPUT": "blocked",
}
OURS = {"timer": "timer", "disk": "disk", "net": "net", "irq": "interrupt", "softirq": "interrupt"}


def ours(step):
    if step["state"] == "running":
        return "running"
    if step["state"] in ("preempted", "runnable"):
        return "kept"
    if step["state"] in ("sleeping", "uninterruptible"):
        return OURS.get(step["cause"], "blocked")
    return "unknown"


def compare(theirs, steps):
    """The time in which both agree, and what there is instead."""
    agree, apart = 0, collections.Counter()
    i = k = 0
    while i < len(theirs) and k < len(steps):
        begin = max(theirs[i][0], steps[k][0])
        end = min(theirs[i][1], steps[k][1])
        if end > begin:
            disk = theirs[i][2] == "blocked" and steps[k][2] == "disk" and theirs[i][3] == steps[k][3]
            if theirs[i][2:] == steps[k][2:] or disk:
                agree += end - begin
            else:
                same = "same thread" if theirs[i][3] == steps[k][3] else "another thread"
                apart[theirs[i][2], steps[k][2], same] += end - begin
        if theirs[i][1] <= steps[k][1]:
            i += 1
        else:
            k += 1
    return agree, apart


paths, rest = [], collections.Counter()
for name in sorted(glob.glob(os.path.join(folder, "*.tsv"))):
    tid = os.path.basename(name)[:-4]
    rows = [line.rstrip("\n").split("\t") for line in open(name)]
    theirs = sorted((int(r[1]), int(r[2]), THEIRS.get(r[3], "unknown"), int(r[5])) for r in rows if r[0] == "H")
    if tid == "0" or not theirs:
        continue
    begin, end = theirs[0][0], max(row[1] for row in theirs)
    if end <= begin:
        continue
    command = [program, "critical-path", store, "--of", tid, "--range", f"{begin}..{end}", "--format", "json"]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    number = lambda key: int(key.split(":")[1].split("@")[0])
    # A device's time is, to it, that of whoever waited for the device.
    device = lambda key: key.startswith(("disk:", "net:"))
    waiter = lambda step: told["waits"][step["inside"]]["key"] if device(step["key"]) else step["key"]
    thread = lambda step: number(waiter(step))
    steps = [(s["begin_ns"], s["end_ns"], ours(s), thread(s)) for s in told["steps"]]
    agree, apart = compare(theirs, steps)
    idle = sum(ns for (a, b, same), ns in apart.items() if a == "kept" and b in ("timer", "interrupt", "disk", "blocked"))
    rest.update(apart)
    paths.append((agree / (end - begin), idle / (end - begin), end - begin, tid))

good = sum(share >= 0.95 for share, _, _, _ in paths)
idly = sum(share < 0.95 and share + idle >= 0.95 for share, idle, _, _ in paths)
print(f"{len(paths)} paths: {good} agree for at least 95 % of their time; {idly} more but for sleeps told as pre-emption")
for share, idle, length, tid in sorted(paths):
    if share < 0.95:
        print(f"  {tid:>6}  {length / 1e9:8.3f} s  agrees {share:6.1%}  a sleep told as pre-emption {idle:6.1%}")
print("elsewhere: theirs, ours, thread, seconds")
for (theirs, mine, same), ns in rest.most_common(12):
    print(f"  {theirs:<9} {mine:<9} {same:<15} {ns / 1e9:9.3f}")
