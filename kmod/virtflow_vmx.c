// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest's registers are when KVM enters and leaves it on Intel's processors.
 *
 * VMX keeps them in the VMCS, which only VMREAD can read and KVM itself reads only when it needs
 * to. This module runs at KVM's own tracepoints, where the VMCS of the vCPU is the current one and
 * interrupts are off, reads it, and passes what it has read to tracepoints of its own: BPF programs
 * of `virtflow record`, ftrace and perf take it from there. Nothing is read while nobody listens.
 *
 * On AMD's processors none of this is needed: the VMCB is ordinary memory.
 */

#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/tracepoint.h>
#include <linux/version.h>

#ifdef VIRTFLOW_VMCS
#include VIRTFLOW_VMCS
#else
#include "vmcs.h"
#endif

#define CREATE_TRACE_POINTS
#include "virtflow_vmx_trace.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "kvm_entry has no vCPU before Linux 5.10"
#endif
#if defined(CONFIG_CFI_CLANG) || defined(CONFIG_CFI)
#error "the probes have fewer parameters than the tracepoints, which a kernel with CFI does not let pass"
#endif

/* Of kvm.ko, which has no header for modules outside of the kernel (EXPORT_TRACEPOINT_SYMBOL_GPL). */
extern struct tracepoint __tracepoint_kvm_entry;
extern struct tracepoint __tracepoint_kvm_exit;

/* After whoever else listens at the same tracepoint: the entry itself is told first. */
#define AFTER_OTHERS 0

/* Which vCPU is in its guest. From an entry to its exit nothing else runs on the processor. */
static DEFINE_PER_CPU(struct kvm_vcpu *, entered);

struct registers {
    unsigned long cr3, rip, rsp, fs_base, cpl;
    u32 known;
};

static void read_registers(const struct kvm_vcpu *vcpu, struct registers *r)
{
    *r = (struct registers){};
    if (read_cr3(vcpu, &r->cr3))
        r->known |= VIRTFLOW_KNOWS_CR3;
    if (read_register(vcpu, VCPU_REGS_RIP, GUEST_RIP, &r->rip))
        r->known |= VIRTFLOW_KNOWS_RIP;
    if (read_register(vcpu, VCPU_REGS_RSP, GUEST_RSP, &r->rsp))
        r->known |= VIRTFLOW_KNOWS_RSP;
    if (vmcs_read(GUEST_FS_BASE, &r->fs_base))
        r->known |= VIRTFLOW_KNOWS_FS_BASE;
    if (read_cpl(&r->cpl))
        r->known |= VIRTFLOW_KNOWS_CPL;
}

/* A TDX guest has no VMCS that the host could read: the current one is another guest's. */
static bool has_own_vmcs(const struct kvm_vcpu *vcpu)
{
#ifdef KVM_X86_TDX_VM
    return vcpu->kvm->arch.vm_type != KVM_X86_TDX_VM;
#else
    return true;
#endif
}

/* At kvm_entry, whose first argument is the vCPU. */
static void enters(void *unused, struct kvm_vcpu *vcpu)
{
    struct registers r;

    if (!has_own_vmcs(vcpu)) {
        this_cpu_write(entered, NULL);
        return;
    }
    this_cpu_write(entered, vcpu);
    if (!trace_virtflow_vcpu_enter_enabled())
        return;
    read_registers(vcpu, &r);
    trace_virtflow_vcpu_enter(vcpu, r.cr3, r.rip, r.rsp, r.fs_base, r.cpl, r.known);
}

/* At kvm_exit, whose arguments are in another order in each kernel: the entry said whose it is. */
static void leaves(void *unused)
{
    struct kvm_vcpu *vcpu = this_cpu_read(entered);
    struct registers r;

    this_cpu_write(entered, NULL);
    if (!vcpu || !trace_virtflow_vcpu_exit_enabled())
        return;
    read_registers(vcpu, &r);
    trace_virtflow_vcpu_exit(vcpu, r.cr3, r.rip, r.rsp, r.fs_base, r.cpl, r.known);
}

static int __init begin(void)
{
    int error;

    if (!has_vmcs()) {
        pr_err("virtflow_vmx: these processors have no VMX: nothing for it to do\n");
        return -ENODEV;
    }
    error = tracepoint_probe_register_prio(&__tracepoint_kvm_entry, enters, NULL, AFTER_OTHERS);
    if (error)
        return error;
    error = tracepoint_probe_register_prio(&__tracepoint_kvm_exit, leaves, NULL, AFTER_OTHERS);
    if (error) {
        tracepoint_probe_unregister(&__tracepoint_kvm_entry, enters, NULL);
        tracepoint_synchronize_unregister();
    }
    return error;
}

static void __exit end(void)
{
    tracepoint_probe_unregister(&__tracepoint_kvm_exit, leaves, NULL);
    tracepoint_probe_unregister(&__tracepoint_kvm_entry, enters, NULL);
    tracepoint_synchronize_unregister();
}

module_init(begin);
module_exit(end);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("What a guest's registers are at KVM's entries and exits, from the VMCS");
MODULE_VERSION("1");
