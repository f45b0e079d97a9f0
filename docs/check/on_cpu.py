"""Recomputes each vCPU's time on a CPU from sched_switch and compares it with `virtflow intervals`.

usage: on_cpu.py VIRTFLOW TRACE
"""

import collections, csv, json, subprocess, sys

def lines(*args):
    command = [sys.argv[1], *args[:1], sys.argv[2], *args[1:]]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

raw, since, seen = collections.Counter(), {}, {}
for line in lines("events", "--format", "jsonl", "--filter", "sched_switch"):
    event = json.loads(line)
    t, out, into = event["time_ns"], event["fields"]["prev_tid"], event["fields"]["next_tid"]
    if out in since:
        raw[out] += t - since.pop(out)
        seen[out] = (seen[out][0], t)
    since[into] = t
    seen.setdefault(into, (t, t))
ours, on = collections.Counter(), {"guest", "hypervisor", "vmm", "halt-poll", "irq-stolen"}
for row in csv.DictReader(lines("intervals", "--kind", "vcpu")[1:]):  # line 1 is the version
    first, last = seen[int(row["tid"])]  # from its first switch in to its last switch out
    if row["state"] in on:
        span = min(int(row["end_ns"]), last) - max(int(row["start_ns"]), first)
        ours[int(row["tid"])] += max(0, span)
for tid in ours:
    print(f"thread {tid}: {raw[tid]} ns by sched_switch, {ours[tid]} ns by virtflow")
