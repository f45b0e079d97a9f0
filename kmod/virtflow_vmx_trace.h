/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's tracepoints: what the guest's registers are when it is entered and left.
 *
 * `known` says which of them were read (VIRTFLOW_KNOWS_*); one that was not is 0.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM virtflow

#if !defined(VIRTFLOW_VMX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VIRTFLOW_VMX_TRACE_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#define VIRTFLOW_KNOWS_CR3 1
#define VIRTFLOW_KNOWS_RIP 2
#define VIRTFLOW_KNOWS_RSP 4
#define VIRTFLOW_KNOWS_FS_BASE 8
#define VIRTFLOW_KNOWS_CPL 16
#define VIRTFLOW_KNOWS_ALL 31

/*
 * BPF programs take the arguments in this order. The fields have the names that
 * crates/events/virtflow-events/src/shapes/kvm.rs looks for.
 */
DECLARE_EVENT_CLASS(virtflow_vcpu,
    TP_PROTO(struct kvm_vcpu *vcpu, u64 cr3, u64 rip, u64 rsp, u64 fs_base, u32 cpl, u32 known),
    TP_ARGS(vcpu, cr3, rip, rsp, fs_base, cpl, known),
    TP_STRUCT__entry(
        __field(u64, cr3)
        __field(u64, rip)
        __field(u64, rsp)
        __field(u64, fs_base)
        __field(u32, vcpu_id)
        __field(s32, vm_pid)
        __field(u8, guest_mode)
        __field(u8, cpl)
        __field(u8, known)
    ),
    TP_fast_assign(
        __entry->cr3 = cr3;
        __entry->rip = rip;
        __entry->rsp = rsp;
        __entry->fs_base = fs_base;
        __entry->vcpu_id = vcpu->vcpu_id;
        __entry->vm_pid = vcpu->kvm->userspace_pid;
        __entry->guest_mode = !!(vcpu->arch.hflags & HF_GUEST_MASK);
        __entry->cpl = cpl;
        __entry->known = known;
    ),
    TP_printk("vcpu %u of %d%s cr3 0x%llx rip 0x%llx rsp 0x%llx fs_base 0x%llx cpl %u known 0x%x",
          __entry->vcpu_id, __entry->vm_pid, __entry->guest_mode ? " nested" : "",
          __entry->cr3, __entry->rip, __entry->rsp, __entry->fs_base,
          __entry->cpl, __entry->known)
);

DEFINE_EVENT(virtflow_vcpu, virtflow_vcpu_enter,
    TP_PROTO(struct kvm_vcpu *vcpu, u64 cr3, u64 rip, u64 rsp, u64 fs_base, u32 cpl, u32 known),
    TP_ARGS(vcpu, cr3, rip, rsp, fs_base, cpl, known)
);

DEFINE_EVENT(virtflow_vcpu, virtflow_vcpu_exit,
    TP_PROTO(struct kvm_vcpu *vcpu, u64 cr3, u64 rip, u64 rsp, u64 fs_base, u32 cpl, u32 known),
    TP_ARGS(vcpu, cr3, rip, rsp, fs_base, cpl, known)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE virtflow_vmx_trace
#include <trace/define_trace.h>
