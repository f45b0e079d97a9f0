#!/usr/bin/env python3
"""Makes fields.txt and order.txt from real traces of the test bed.

    ./extract.py TRACES/single-vm TRACES/io TRACES/nested TRACES/overcommit TRACES/two-vms-network

fields.txt: from the first trace's metadata (packets of LTTng), each event class with its fields:
`name field:type ...`, types as s32 (signed), u64, x64 (base 16), text16, str, u8[15], s8[_n].
Classes with variants (parsed network headers) are left out.

order.txt: `count from to`: how often, over all the traces, the event `to` comes next after `from`
among the kvm_*, vcpu_* and sched_switch events of one CPU, without kvm_mmu_* and
kvm_x86_emulate_insn (which are noise that a recording may leave out). Read with babeltrace2.
"""
import collections, re, struct, subprocess, sys

def metadata(path):
    data, at, text = open(path, 'rb').read(), 0, b''
    while at < len(data):
        content, size = struct.unpack_from('<II', data, at + 24)
        text += data[at + 37:at + content // 8]
        at += size // 8
    return text.decode()

def field(line):
    if m := re.match(r'integer \{ size = (\d+); align = 8; signed = ([01]); encoding = (\w+); base = (\d+);[^}]*\} (\w+)(?:\[ ?(\w+) ?\])?;$', line):
        size, signed, encoding, base, name, count = m.groups()
        if encoding == 'UTF8':
            return f'{name}:text{count}'
        sign = 's' if signed == '1' else {'16': 'x', '8': 'o'}.get(base, 'u')
        return f'{name}:{sign}{size}' + (f'[{count}]' if count else '')
    if m := re.match(r'string (\w+);$', line):
        return f'{m[1]}:str'

def fields(text):
    for block in re.findall(r'^event \{\n(.*?)^\};', text, re.S | re.M):
        name = re.search(r'name = "(\w+)"', block)[1]
        lines = [line.strip() for line in block.split('fields := struct {\n')[1].splitlines()]
        if not any('variant' in line for line in lines):
            yield ' '.join([name, *filter(None, map(field, lines))])

def order(traces):
    pairs = collections.Counter()
    for trace in traces:
        last = {}
        run = subprocess.Popen(['babeltrace2', f'{trace}/trace'], stdout=subprocess.PIPE, text=True)
        for line in run.stdout:
            m = re.search(r' (\w+): \{ cpu_id = (\d+) \}', line)
            if not m or not re.match(r'kvm_(?!mmu|x86_emul)|vcpu_|sched_switch', m[1]):
                continue
            if m[2] in last:
                pairs[last[m[2]], m[1]] += 1
            last[m[2]] = m[1]
    return pairs

if __name__ == '__main__':
    with open('fields.txt', 'w') as out:
        out.writelines(line + '\n' for line in fields(metadata(f'{sys.argv[1]}/trace/kernel/metadata')))
    with open('order.txt', 'w') as out:
        out.writelines(f'{n} {a} {b}\n' for (a, b), n in order(sys.argv[1:]).most_common())
