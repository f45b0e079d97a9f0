"""How often each rule on guest processes erred, on recordings whose guests logged who ran.

usage: by_rule.py VIRTFLOW FOLDER...      (folders with trace/, truth.json and truth/*.sched.csv)

Every 100 microseconds at which a (nested) vCPU runs its own guest's code, the process, idle or
kernel lane or nothing that virtflow names is compared with who was on that CPU by the guest's scheduler log. The
counts are by the rule (the `evidence` column). exec: virtflow names the CR3 that the process execs
into a little later in the log.
"""

import bisect, collections, csv, json, subprocess, sys

STEP = 100_000


def intervals(virtflow, folder):
    command = [virtflow, "intervals", folder + "/trace"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(csv.DictReader(text.splitlines()[1:]))


def covered(rows):
    """The time in which what every CPU does is known."""
    known = collections.defaultdict(list)
    for row in rows:
        if row["kind"] == "cpu" and row["state"] != "unknown":
            known[row["key"]] += [int(row["start_ns"]), int(row["end_ns"])]
    return max(map(min, known.values())), min(map(max, known.values()))


def log_of(path, offset):
    """Who is on each CPU from when on: (time, pid, cr3), cr3 0 for the kernel; execs by pid."""
    cpus, execs, current = collections.defaultdict(list), collections.defaultdict(list), {}
    log = list(csv.DictReader(open(path)))
    for row in log:
        time, cpu, cr3 = offset + int(row["host_ns"]), int(row["cpu"]), int(row["cr3"] or "0", 16)
        if row["type"] == "switch":
            current[cpu] = int(row["b"])
            cpus[cpu].append((time, current[cpu], cr3))
        elif row["type"] == "exec":
            execs[int(row["a"])].append((time, cr3))
            if current.get(cpu) == int(row["a"]):
                cpus[cpu].append((time, current[cpu], cr3))
    return cpus, execs, offset + int(log[0]["host_ns"]), offset + int(log[-1]["host_ns"])


def keys_of(vm, vms, rows):
    """Our keys of a VM, and the kind and level of its vCPUs."""
    if not vm.get("parent"):
        mine = (r for r in rows if r["kind"] == "vcpu" and int(r["pid"]) == vm["pid"])
        return {r["vm_key"] for r in mine}, "vcpu", "1"
    cr3s = set()
    for process in vms[vm["parent"]]["processes"]:
        if process.get("pid") == vm["pid"]:
            values = process["cr3"] if isinstance(process["cr3"], list) else [process["cr3"]]
            cr3s |= {int(str(value), 16) for value in values if value}
    mine = (r for r in rows if r["kind"] == "nested-vcpu" and int(r["cr3"] or "0", 16) in cr3s)
    return {r["vm_key"] for r in mine}, "nested-vcpu", "2"


def lane_of(row):
    end = row["key"].rsplit("/", 1)[1]
    return end if end in ("idle", "kernel") else "process"


def verdict(said, pid, cr3, execs, at):
    if said is None:
        return "unknown"
    if lane_of(said) != "process" or cr3 == 0:
        return "right" if lane_of(said) != "process" and cr3 == 0 else "wrong"
    name = int(said["cr3"], 16)
    if name == cr3:
        return "right"
    return "exec" if any(new == name and at < time for time, new in execs[pid]) else "wrong"


def judge(virtflow, folder, counts):
    truth = json.load(open(folder + "/truth.json"))
    offset = truth["clock"]["ctf_offset_ns"]
    rows = intervals(virtflow, folder)
    window = covered(rows)
    vms = {vm["name"]: vm for vm in truth["vms"]}
    for vm in truth["vms"]:
        cpus, execs, begin, end = log_of(f"{folder}/truth/{vm['name']}.sched.csv", offset)
        begin, end = max(begin, window[0]), min(end, window[1])
        keys, kind, level = keys_of(vm, vms, rows)
        for cpu, log in cpus.items():
            own = [r for r in rows if r["vm_key"] in keys and r["vcpu"] == str(cpu)]
            states = ("run-user", "run-kernel", "idle")
            named = [r for r in own if r["kind"] == "process" and r["state"] in states]
            named.sort(key=lambda r: int(r["start_ns"]))
            starts, times = [int(r["start_ns"]) for r in named], [time for time, _, _ in log]
            for row in own:
                if (row["kind"], row["state"], row["level"]) != (kind, "guest", level):
                    continue
                start, stop = max(int(row["start_ns"]), begin), min(int(row["end_ns"]), end)
                for at in range(-(-start // STEP) * STEP, stop, STEP):
                    there = bisect.bisect_right(times, at) - 1
                    if there < 0:
                        continue
                    last = bisect.bisect_right(starts, at) - 1
                    said = named[last] if last >= 0 and int(named[last]["end_ns"]) > at else None
                    rule = ("(nothing named)", "", "")
                    if said:
                        rule = (said["evidence"], said["confidence"], lane_of(said))
                    _, pid, cr3 = log[there]
                    who = "process" if cr3 else "kernel or idle"
                    counts[rule][who, verdict(said, pid, cr3, execs, at)] += 1


def main():
    counts = collections.defaultdict(collections.Counter)
    for folder in sys.argv[2:]:
        judge(sys.argv[1], folder, counts)
    print(f"{'rule':16} {'':7} {'names':8} {'a process runs':>34} {'kernel runs, or idle':>26}")
    print(f"{'':33} {'right':>8} {'wrong':>8} {'exec':>7} {'unknown':>8} {'right':>8} {'wrong':>8} {'unknown':>8}")
    for rule, count in sorted(counts.items()):
        cells = [count["process", v] for v in ("right", "wrong", "exec", "unknown")]
        cells += [count["kernel or idle", v] for v in ("right", "wrong", "unknown")]
        widths = (8, 8, 7, 8, 8, 8, 8)
        print("{:16} {:7} {:8}".format(*rule), *(f"{c:{w}}" for c, w in zip(cells, widths)))


main()
