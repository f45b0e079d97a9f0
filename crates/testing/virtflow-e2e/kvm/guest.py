#!/usr/bin/env python3
"""A VM of one vCPU that counts, and a VMM that knows what it did, for tests on a machine with KVM.

The guest counts to a million in user mode and writes to a port, again and again. Each time the VMM works
for a while, or sleeps. What it did is printed as JSON: nanoseconds of CLOCK_MONOTONIC, and how often
KVM_RUN returned. Exits with 77 where there is no KVM. Numbers: include/uapi/linux/kvm.h and
arch/x86/include/uapi/asm/kvm.h of Linux; page tables and descriptors: AMD64 Architecture Programmer's Manual,
volume 2, 4.8 and 5.3.
"""

import ctypes
import fcntl
import json
import mmap
import os
import struct
import sys
import time

KVM_CREATE_VM = 0xAE01
KVM_GET_VCPU_MMAP_SIZE = 0xAE04
KVM_CREATE_VCPU = 0xAE41
KVM_RUN = 0xAE80
KVM_GET_SUPPORTED_CPUID = 0xC008AE05
KVM_SET_USER_MEMORY_REGION = 0x4020AE46
KVM_SET_CPUID2 = 0x4008AE90
KVM_SET_REGS = 0x4090AE82
KVM_GET_SREGS = 0x8138AE83
KVM_SET_SREGS = 0x4138AE84
KVM_EXIT_IO = 2

MEMORY = 2 << 20
PML4, PDP, PD, GDT, CODE, STACK = 0x1000, 0x2000, 0x3000, 0x4000, 0x10000, 0x80000
PRESENT_WRITE_USER = 0x7
HUGE = 0x80
# inc rax; cmp rax, 1000000; jne; xor eax, eax; out 0x10, al; jmp
PROGRAM = bytes.fromhex("48ffc0 483d40420f00 75f5 31c0 e610 ebef")


def segment(selector, kind, long_mode):
    """struct kvm_segment: flat, of privilege level 3."""
    flags = (1, 3, 0 if long_mode else 1, 1, 1 if long_mode else 0, 1, 0, 0, 0)
    return struct.pack("<QIHB9B", 0, 0xFFFFFFFF, selector, kind, *flags)


def vcpu_of(kvm, memory):
    """A vCPU in 64-bit user mode at the beginning of the program, and its VM."""
    vm = fcntl.ioctl(kvm, KVM_CREATE_VM, 0)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    region = struct.pack("<IIQQQ", 0, 0, 0, MEMORY, address)
    fcntl.ioctl(vm, KVM_SET_USER_MEMORY_REGION, region)
    for at, entry in ((PML4, PDP), (PDP, PD), (PD, HUGE)):
        struct.pack_into("<Q", memory, at, entry | PRESENT_WRITE_USER)
    struct.pack_into("<QQQ", memory, GDT, 0, 0x00AFFB000000FFFF, 0x00CFF3000000FFFF)
    memory[CODE : CODE + len(PROGRAM)] = PROGRAM

    vcpu = fcntl.ioctl(vm, KVM_CREATE_VCPU, 0)
    entries = 100
    cpuid = bytearray(struct.pack("<II", entries, 0) + bytes(40 * entries))
    fcntl.ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid)
    fcntl.ioctl(vcpu, KVM_SET_CPUID2, cpuid)
    special = bytearray(312)
    fcntl.ioctl(vcpu, KVM_GET_SREGS, special)
    code, data = segment(0x0B, 11, True), segment(0x13, 3, False)
    # cs, ds, es, fs, gs, ss; tr and ldt stay.
    special[0:144] = code + 5 * data
    gdt = 8 * 24
    struct.pack_into("<QH", special, gdt, GDT, 0x17)
    # cr0, cr2, cr3, cr4, cr8, efer: paging, in long mode.
    struct.pack_into("<6Q", special, gdt + 32, 0x80050033, 0, PML4, 0x20, 0, 0x501)
    fcntl.ioctl(vcpu, KVM_SET_SREGS, bytes(special))
    # rsp is the seventh of the general registers; after the 16 come rip and rflags (with IOPL 3).
    registers = [0] * 16
    registers[6] = STACK
    fcntl.ioctl(vcpu, KVM_SET_REGS, struct.pack("<18Q", *registers, CODE, 0x3002))
    return vm, vcpu


def main():
    seconds, busy_ns, sleep_s = float(sys.argv[1]), 2_000_000, 0.005
    try:
        kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        print(f"no KVM: {error}", file=sys.stderr)
        return 77
    memory = mmap.mmap(-1, MEMORY)
    vm, vcpu = vcpu_of(kvm, memory)
    run = mmap.mmap(vcpu, fcntl.ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0))
    told = {"pid": os.getpid(), "returns": 0, "busy_ns": 0, "asleep_ns": 0, "sleeps": 0, "run_ns": 0}
    end = time.monotonic_ns() + int(seconds * 1e9)
    before = time.monotonic_ns()
    while before < end:
        fcntl.ioctl(vcpu, KVM_RUN, 0)
        began = time.monotonic_ns()
        told["run_ns"] += began - before
        told["returns"] += 1
        (reason,) = struct.unpack_from("<I", run, 8)
        if reason != KVM_EXIT_IO:
            print(f"the guest ended with exit reason {reason}", file=sys.stderr)
            return 1
        if told["returns"] % 4 == 0:
            time.sleep(sleep_s)
            told["sleeps"] += 1
            before = time.monotonic_ns()
            told["asleep_ns"] += before - began
        else:
            while (before := time.monotonic_ns()) < began + busy_ns:
                pass
            told["busy_ns"] += before - began
    told["slept_at_least_ns"] = int(told["sleeps"] * sleep_s * 1e9)
    print(json.dumps(told))
    os.close(vm)
    return 0


sys.exit(main())
