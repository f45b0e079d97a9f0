"""Who had the CPU while somebody else wanted it: recomputed without virtflow, to check what its page says.

usage: who_took.py FOLDER      (a folder with trace/, truth.json and truth/*.sched.csv, as the recordings have)

Reads the host's raw events as babeltrace2 prints them, and the log that the guest's own scheduler kept; prints JSON,
all numbers in nanoseconds:

  vcpus    "PID/VCPU" -> taker -> time in which the vCPU's thread was pre-empted, or was woken and had no CPU yet, while
           the taker had that CPU. From sched_switch, sched_waking and sched_migrate_task alone.
  nested   "L2:CR3" ->
    l0     taker -> the same time, of whichever vCPU's thread last ran the nested VM, but only while the nested VM is
           loaded or the guest's hypervisor works for it: not while it is halted, nor while L1 runs another process.
           That is told by kvm_x86_nested_vmrun, kvm_x86_nested_vmexit_inject and the probe's CR3 at entries.
    l1     L1's process ("cr3:X", or "kernel") -> time in which, by L1's own log, the nested vCPU's thread wanted to run
           in L1 and a thread of that process, or a kernel thread, had its vCPU. It knows nothing of L0: while L1's vCPU
           has no CPU, whatever L1 has put there counts on.

A taker is "vcpu:PID/VCPU" or "thread:TID".
"""

import bisect, collections, csv, json, os, re, subprocess, sys

folder = sys.argv[1]
truth = json.load(open(os.path.join(folder, "truth.json")))

EVENT = re.compile(r"^\[(\d+)\] \(\S+\) \S+ (\w+): \{ cpu_id = (\d+) \}, \{ (.*) \}$")
FIELD = re.compile(r'(\w+) = ("(?:[^"\\]|\\.)*"|[^,\s]+)')
WANTED = {
    "sched_switch", "sched_waking", "sched_migrate_task",
    "kvm_x86_nested_vmrun", "kvm_x86_nested_vmexit_inject", "vcpu_enter_guest",
}  # fmt: skip
HLT = 0x78
PREEMPTED = (0, 256)  # prev_state of a thread that still wants to run


def number(text):
    return int(text, 0)


def events():
    command = ["babeltrace2", "--clock-cycles", os.path.join(folder, "trace", "kernel")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as run:
        for line in run.stdout:
            found = EVENT.match(line)
            if found and found[2] in WANTED:
                yield int(found[1]), found[2], int(found[3]), dict(FIELD.findall(found[4]))


class Nested:
    """A nested vCPU: which thread of the host ran it last, and what has become of it since."""

    def __init__(self, own_cr3):
        self.own_cr3 = own_cr3  # of the process in L1 that runs it
        self.tid = None
        self.phase = "loaded"  # or "l1": its hypervisor works for it, "halted", "displaced": L1 runs something else


vcpu_of = {}  # the host's thread -> "PID/VCPU"
for vm in truth["vms"]:
    for vcpu in vm["vcpus"] if vm.get("parent") is None else []:
        vcpu_of[vcpu["tid"]] = f"{vm['pid']}/{vcpu['vcpu_id']}"

on_cpu = {}  # CPU -> thread
wants = {}  # a vCPU's thread that wants to run -> the CPU that it waits for
l1_cr3 = {}  # thread -> the page table that L1 was last entered with
loaded, last = {}, {}  # thread -> the nested vCPU whose context is loaded, and that it ran last
entries = collections.defaultdict(list)  # "PID/VCPU" -> when L1 (the VM itself) was entered there
nested = {}  # by the address of the control block
vcpus = collections.defaultdict(collections.Counter)
l0 = collections.defaultdict(collections.Counter)


def charge(ns):
    """Everybody who waits loses time to whoever has the CPU that it waits for."""
    for tid, cpu in wants.items():
        if on_cpu.get(cpu, 0) != 0:
            who = on_cpu[cpu]
            who = f"vcpu:{vcpu_of[who]}" if who in vcpu_of else f"thread:{who}"
            vcpus[vcpu_of[tid]][who] += ns
            for one in nested.values():
                if one.tid == tid and one.phase in ("loaded", "l1"):
                    l0[f"L2:{one.own_cr3:x}"][who] += ns


def scheduled(name, cpu, fields):
    if name == "sched_switch":
        out, into = number(fields["prev_tid"]), number(fields["next_tid"])
        on_cpu[cpu] = into
        if out in vcpu_of and number(fields["prev_state"]) in PREEMPTED:
            wants[out] = cpu
        wants.pop(into, None)
        return
    tid = number(fields["tid"])
    if name == "sched_migrate_task" and tid in wants:
        wants[tid] = number(fields["dest_cpu"])
    if name == "sched_waking" and tid in vcpu_of and tid not in wants and tid not in on_cpu.values():
        wants[tid] = number(fields["target_cpu"])


def load(tid, block, own_cr3):
    one = nested.setdefault(block, Nested(own_cr3))
    other = last.get(tid)
    if other not in (None, one) and other.phase == "l1":
        other.phase = "displaced"
    one.tid, one.phase = tid, "loaded"
    loaded[tid] = last[tid] = one


def entered(now, tid, fields):
    cr3 = number(fields["cr3"])
    if number(fields["guest_mode"]):
        block = number(fields["vmcb12"])
        if nested.get(block) is None or loaded.get(tid) is not nested[block]:
            load(tid, block, number(fields["l1_cr3"]))
        return
    l1_cr3[tid] = cr3
    entries[vcpu_of[tid]].append(now)
    if tid in loaded:
        loaded.pop(tid).phase = "l1"
    one = last.get(tid)
    if one and one.tid == tid and one.phase in ("l1", "displaced"):
        one.phase = "l1" if cr3 == one.own_cr3 else "displaced"


before = None
for t, name, cpu, fields in events():
    if before is not None and t > before:
        charge(t - before)
    before = t
    tid = on_cpu.get(cpu)
    if name.startswith("sched_"):
        scheduled(name, cpu, fields)
    elif tid not in vcpu_of:
        pass
    elif name == "vcpu_enter_guest":
        entered(t, tid, fields)
    elif name == "kvm_x86_nested_vmrun" and (tid in l1_cr3 or number(fields["vmcb"]) in nested):
        load(tid, number(fields["vmcb"]), l1_cr3.get(tid))
    elif name == "kvm_x86_nested_vmexit_inject" and tid in loaded:
        loaded.pop(tid).phase = "halted" if number(fields["exit_code"]) == HLT else "l1"


def by_log(vm):
    """Who had the outer VM's vCPU while this nested VM's vCPU thread wanted it, by the outer VM's own log.

    Twice: as the log says it, and as an observer could who looks only where the host enters the outer VM.
    """
    outer = next(other for other in truth["vms"] if other["name"] == vm["parent"])
    own, qemu = {vcpu["tid"] for vcpu in vm["vcpus"]}, {thread["tid"] for thread in vm["threads"]}
    begin, end = truth["trace"]["first_ns"], truth["trace"]["last_ns"]
    exact, seen = collections.Counter(), collections.Counter()

    def add(cpu, start, stop, who):
        enter = entries[f"{outer['pid']}/{cpu}"]
        for sums, move in ((exact, lambda t: t), (seen, lambda t: next(iter(enter[bisect.bisect(enter, t) :]), end))):
            span = min(move(stop), end) - max(move(start), begin)
            if span > 0:
                sums[who] += span

    with open(os.path.join(folder, "truth", f"{outer['name']}.sched.csv"), newline="") as log:
        rows = list(csv.DictReader(log))
    had = collections.defaultdict(list)  # vCPU -> who had it and when, since a thread of ours left it
    running, wanted = {}, {}  # vCPU -> (pid, since when, who); thread of ours -> since when it wants to run
    for row in rows:
        t, cpu, a, b = int(row["host_ns"]), int(row["cpu"]), int(row["a"]), int(row["b"])
        if row["type"] == "wake" and a in own and all(a != pid for pid, _, _ in running.values()):
            wanted.setdefault(a, t)
        if row["type"] != "switch":
            continue
        if cpu in running:
            _, since, who = running[cpu]
            had[cpu].append((since, t, who))
        cr3 = int(row["cr3"], 16)
        who = None if b == 0 or b in qemu else f"cr3:{cr3:x}" if cr3 else "kernel"
        running[cpu] = (b, t, who)
        if b in own:
            since = wanted.pop(b, t)
            for start, stop, who in had[cpu]:
                if stop > since and who is not None:
                    add(cpu, max(start, since), stop, who)
            had[cpu].clear()
        if a in own and int(row["state"]) in (0, 255):
            wanted[a] = t
    return exact, seen


out = {name: {"l0": sums} for name, sums in l0.items()}
for vm in truth["vms"]:
    for one in truth["vms"] if vm.get("parent") is not None else []:
        own_cr3 = next((p["cr3"] for p in one["processes"] if p["pid"] == vm["pid"]), None)
        if one["name"] == vm["parent"] and own_cr3 is not None:
            exact, seen = by_log(vm)
            out.setdefault(f"L2:{own_cr3:x}", {}).update({"l1": exact, "l1_seen": seen})
json.dump({"vcpus": vcpus, "nested": out}, sys.stdout, indent=1)
print()
