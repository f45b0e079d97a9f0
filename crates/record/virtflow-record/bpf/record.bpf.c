// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//
// What `virtflow record` has the kernel do: at each tracepoint that the analyses use, write down
// its time, processor and arguments, as the trace will have them, into the processor's ring.
//
// KVM's are raw tracepoints, so that it makes no difference whether KVM is a module; the frequent ones
// of the kernel itself are both (record.h, BOTH). No kernel header and no version is needed: where
// fields are and which argument is which is told in constants (record.h), which the loader finds in
// the kernel's own type information (BTF). An offset of NONE is a field that this kernel has not.
//
// The records' layout is that of the events in `src/events.rs`, in the same order.

#include "record.h"

struct sched_switch {
    struct head head;
    char prev_comm[16];
    s32 prev_tid;
    s32 prev_prio;
    s64 prev_state;
    char next_comm[16];
    s32 next_tid;
    s32 next_prio;
} PACKED;

INLINE int switches(struct context *c, int typed)
{
    void *prev = (void *)arg(c, switch_prev), *next = (void *)arg(c, switch_prev + 1);
    u32 state = switch_state != NONE ? (u32)arg(c, switch_state) :
                       half_of(typed, prev, task_state);
    ROOM(sched_switch, 0);
    name_of(typed, r->prev_comm, prev, task_comm);
    // Who goes is who is current until then.
    r->prev_tid = r->head.tid;
    r->prev_prio = half_of(typed, prev, task_prio) - 100;
    // Only who is dead (0x80, TASK_DEAD) has an exit state.
    r->prev_state = traced_state((u8)c->args[0], state,
                     state & 0x80 ? half_of(typed, prev, task_exit_state) : 0);
    name_of(typed, r->next_comm, next, task_comm);
    r->next_tid = half_of(typed, next, task_pid);
    r->next_prio = half_of(typed, next, task_prio) - 100;
    DONE();
}

BOTH(sched_switch, 0, switches)

struct wakeup {
    struct head head;
    char comm[16];
    s32 tid;
    s32 prio;
    s32 target_cpu;
} PACKED;

#define WAKEUP(name, number)                                   \
    INLINE int name##s(struct context *c, int typed)       \
    {                                                      \
        void *task = (void *)c->args[0];               \
        ROOM(wakeup, number);                          \
        name_of(typed, r->comm, task, task_comm);      \
        r->tid = half_of(typed, task, task_pid);       \
        r->prio = half_of(typed, task, task_prio) - 100; \
        r->target_cpu = half_of(typed, task, task_cpu); \
        DONE();                                        \
    }                                                      \
    BOTH(name, number, name##s)

WAKEUP(sched_waking, 1)
WAKEUP(sched_wakeup_new, 2)

struct fork {
    struct head head;
    char parent_comm[16];
    s32 parent_tid;
    s32 parent_pid;
    char child_comm[16];
    s32 child_tid;
    s32 child_pid;
    u32 child_ns_inum;
} PACKED;

SEC("raw_tp/sched_process_fork")
int record_3(struct context *c)
{
    void *parent = (void *)c->args[0], *child = (void *)c->args[1];
    ROOM(fork, 3);
    comm(r->parent_comm, parent);
    r->parent_tid = half(parent, task_pid);
    r->parent_pid = half(parent, task_tgid);
    comm(r->child_comm, child);
    r->child_tid = half(child, task_pid);
    r->child_pid = half(child, task_tgid);
    r->child_ns_inum = namespace(child);
    DONE();
}

struct exec {
    struct head head;
    char comm[16];
    s32 tid;
    s32 old_tid;
} PACKED;

SEC("raw_tp/sched_process_exec")
int record_4(struct context *c)
{
    void *task = (void *)c->args[0];
    ROOM(exec, 4);
    comm(r->comm, task);
    r->tid = half(task, task_pid);
    r->old_tid = c->args[1];
    DONE();
}

struct task {
    struct head head;
    char comm[16];
    s32 tid;
    s32 prio;
} PACKED;

#define TASK(name, number)                                     \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        void *task = (void *)c->args[0];               \
        ROOM(task, number);                            \
        comm(r->comm, task);                           \
        r->tid = half(task, task_pid);                 \
        r->prio = half(task, task_prio) - 100;         \
        DONE();                                        \
    }

TASK(sched_process_exit, 5)
TASK(sched_process_free, 6)

// One number.
struct one {
    struct head head;
    u32 value;
} PACKED;

#define ONE(name, number, which)                               \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        ROOM(one, number);                             \
        r->value = c->args[which];                     \
        DONE();                                        \
    }

struct two {
    struct head head;
    u32 first;
    u32 second;
} PACKED;

#define TWO(name, number, a, b)                                \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        ROOM(two, number);                             \
        r->first = c->args[a];                         \
        r->second = c->args[b];                        \
        DONE();                                        \
    }

struct irq {
    struct head head;
    s32 irq;
    char name[16];
} PACKED;

SEC("raw_tp/irq_handler_entry")
int record_7(struct context *c)
{
    void *name = pointer((void *)c->args[1], irqaction_name);
    ROOM(irq, 7);
    r->irq = c->args[0];
    if (!name || bpf_probe_read_kernel_str(r->name, 16, name) < 0)
        r->name[0] = 0;
    DONE();
}

TWO(irq_handler_exit, 8, 0, 2)
ONE(softirq_entry, 9, 0)
ONE(softirq_exit, 10, 0)
ONE(local_timer_entry, 11, 0)
ONE(local_timer_exit, 12, 0)
ONE(reschedule_entry, 13, 0)
ONE(reschedule_exit, 14, 0)
ONE(call_function_single_entry, 15, 0)
ONE(call_function_single_exit, 16, 0)
ONE(call_function_entry, 17, 0)
ONE(call_function_exit, 18, 0)
ONE(irq_work_entry, 19, 0)
ONE(irq_work_exit, 20, 0)

struct expire {
    struct head head;
    u64 hrtimer;
    s64 now;
    u64 function;
} PACKED;

INLINE int expires(struct context *c, int typed)
{
    void *timer = (void *)c->args[0];
    ROOM(expire, 21);
    WRITE_POINTER(r->hrtimer, timer);
    r->now = word((void *)c->args[1], 0);
    r->function = word_of(typed, timer, hrtimer_function);
    DONE();
}

BOTH(hrtimer_expire_entry, 21, expires)

struct word {
    struct head head;
    u64 value;
} PACKED;

SEC("raw_tp/hrtimer_expire_exit")
int record_22(struct context *c)
{
    ROOM(word, 22);
    r->value = c->args[0];
    DONE();
}

struct block_issue {
    struct head head;
    u32 dev;
    u64 sector;
    u32 nr_sector;
    u32 bytes;
    s32 tid;
    u32 rwbs;
    char comm[16];
} PACKED;

// As LTTng writes rwbs: bits by what the request is (instrumentation/events/block.h of
// lttng-modules): 1 write, 2 discard, 4 read, 5 read-ahead... Of these only write and read.
INLINE u32 rwbs(int typed, const void *request)
{
    u32 op = half_of(typed, request, request_flags) & 0xff;
    return op == 1 ? 1 : op == 0 ? 1 << 2 : 0;
}

INLINE u32 device(int typed, const void *request)
{
    void *disk;
    if (request_disk != NONE)
        disk = pointer_of(typed, request, request_disk);
    else
        disk = pointer_of(typed, pointer_of(typed, request, request_queue), queue_disk);
    return disk ? half_of(typed, disk, disk_major) << 20 | half_of(typed, disk, disk_first_minor) : 0;
}

INLINE int issues(struct context *c, int typed)
{
    void *request = (void *)arg(c, issue_request);
    ROOM(block_issue, 23);
    r->dev = device(typed, request);
    r->sector = word_of(typed, request, request_sector);
    r->bytes = half_of(typed, request, request_bytes);
    r->nr_sector = r->bytes >> 9;
    r->tid = (u32)bpf_get_current_pid_tgid();
    r->rwbs = rwbs(typed, request);
    r->comm[0] = 0;
    DONE();
}

BOTH(block_rq_issue, 23, issues)

struct block_complete {
    struct head head;
    u32 dev;
    u64 sector;
    u32 nr_sector;
    s32 error;
    u32 rwbs;
} PACKED;

INLINE int completes(struct context *c, int typed)
{
    void *request = (void *)c->args[0];
    ROOM(block_complete, 24);
    r->dev = device(typed, request);
    r->sector = word_of(typed, request, request_sector);
    r->nr_sector = (u32)c->args[2] >> 9;
    r->error = complete_status == NONE ? (s32)c->args[1] : errnos[(u8)arg(c, complete_status)];
    r->rwbs = rwbs(typed, request);
    DONE();
}

BOTH(block_rq_complete, 24, completes)

TWO(cpu_frequency, 25, 0, 1)

// KVM.

INLINE void *vmcb_of(const void *vcpu)
{
    return svm_vmcb != NONE ? pointer(vcpu, svm_vmcb) : 0;
}

// Whether a nested guest is what runs: then the VMCB is not that of the VM itself.
INLINE u8 nests(const void *vcpu, const void *vmcb)
{
    if (svm_vmcb01 == NONE)
        return half(vcpu, vcpu_hflags) >> 5 & 1; // HF_GUEST_MASK before Linux 5.13
    return vmcb && pointer(vcpu, svm_vmcb01) != vmcb;
}

// Bits of a VMCB's nested_ctl (arch/x86/include/asm/svm.h): with nested paging the guest's CR3 is in
// it, otherwise that of KVM's shadow page table; of an encrypted guest nothing is.
#define HAS_NPT 1
#define IS_ENCRYPTED 4

INLINE u64 cr3_of(const void *vcpu, u32 nested_ctl, u64 cr3)
{
    return nested_ctl & HAS_NPT ? cr3 : word(vcpu, vcpu_cr3);
}

INLINE u8 is_readable(const void *vmcb, u32 nested_ctl)
{
    return vmcb && vmcb_nested_ctl != NONE && !(nested_ctl & IS_ENCRYPTED);
}

// Parts of a VMCB that are read at once, as each read is a call (AMD's manual, volume 2, appendix B): from
// the exit code to nested_ctl, from FS' base to CPL, from CR3 to RSP. What a kernel has elsewhere is
// read by itself.
struct part {
    u32 from, bytes;
    u8 *copy;
};

INLINE u64 word_in(const struct part *part, const void *vmcb, u32 at)
{
    if (at >= part->from && at - part->from + 8 <= part->bytes)
        return *(u64 *)(part->copy + (at - part->from));
    return word(vmcb, at);
}

INLINE u32 half_in(const struct part *part, const void *vmcb, u32 at)
{
    if (at >= part->from && at - part->from + 4 <= part->bytes)
        return *(u32 *)(part->copy + (at - part->from));
    return half(vmcb, at);
}

INLINE u8 byte_in(const struct part *part, const void *vmcb, u32 at)
{
    if (at >= part->from && at - part->from < part->bytes)
        return part->copy[at - part->from];
    return byte(vmcb, at);
}

#define PART(name, first, end)                                                    \
    u8 name##_copy[(end) - (first)] __attribute__((aligned(8)));              \
    const struct part name = { first, (end) - (first), name##_copy };         \
    bpf_probe_read_kernel(name##_copy, (end) - (first), (const char *)vmcb + (first))

// What KVM writes into the VMCB only after the tracepoint of the entry.
INLINE u64 pending(const void *vcpu, u32 which)
{
    return vcpu_regs != NONE && which != NONE ? word(vcpu, vcpu_regs + 8 * which) : 0;
}

// Whether a nested guest is what runs on Intel: then the VMCS in use is not the VM's own.
INLINE u8 nests_vmx(const void *vcpu)
{
    return vmx_loaded != NONE && vmx_own != NONE &&
           pointer(vcpu, vmx_loaded) != (const char *)vcpu + vmx_own;
}

// What is known of the guest's registers (`events.rs`).
#define KNOWN_NOTHING 0
#define KNOWN_ALL 1
#define KNOWN_CR3 2

struct enter {
    struct head head;
    u32 vcpu_id;
    u64 cr3;
    u64 rip;
    u64 l1_cr3;
    u64 vmcb12;
    s32 vm_pid;
    u8 guest_mode;
    u8 known;
    u8 pad[2];
    u64 rsp;
    u64 fs_base;
} PACKED;

SEC("raw_tp/kvm_entry")
int record_26(struct context *c)
{
    void *vcpu = (void *)arg(c, entry_vcpu), *vmcb = vmcb_of(vcpu);
    ROOM(enter, 26);
    r->vcpu_id = half(vcpu, vcpu_id);
    r->vm_pid = half(pointer(vcpu, vcpu_kvm), kvm_userspace_pid);
    u32 nested_ctl = vmcb ? half(vmcb, vmcb_nested_ctl) : 0;
    r->cr3 = vmcb ? cr3_of(vcpu, nested_ctl, word(vmcb, vmcb_cr3)) : 0;
    r->rip = vmcb ? pending(vcpu, rip_at) : 0;
    r->rsp = vmcb ? pending(vcpu, rsp_at) : 0;
    r->fs_base = vmcb ? word(vmcb, vmcb_fs_base) : 0;
    r->guest_mode = nests(vcpu, vmcb);
    r->l1_cr3 = r->guest_mode && svm_vmcb01 != NONE && nested_ctl & HAS_NPT ?
            word(pointer(vcpu, svm_vmcb01), vmcb_cr3) : 0;
    r->vmcb12 = r->guest_mode ? word(vcpu, svm_vmcb12) : 0;
    r->known = is_readable(vmcb, nested_ctl) && rip_at != NONE && rsp_at != NONE ? KNOWN_ALL : KNOWN_NOTHING;
    r->pad[0] = r->pad[1] = 0;
    if (!vmcb) {
        r->guest_mode = nests_vmx(vcpu);
        if (!has_module && vcpu_kept != NONE && cr3_bit < 32 &&
            half(vcpu, vcpu_kept) >> cr3_bit & 1) {
            r->cr3 = word(vcpu, vcpu_cr3);
            r->known = KNOWN_CR3;
        }
    }
    DONE();
}

struct leave {
    struct head head;
    u32 exit_reason;
    u64 guest_rip;
    u32 isa;
    u64 info1;
    u64 info2;
    u32 intr_info;
    u32 vcpu_id;
    u64 cr3;
    u64 rsp;
    u64 fs_base;
    u8 cpl;
    u8 guest_mode;
    u8 known;
    u8 pad;
} PACKED;

SEC("raw_tp/kvm_exit")
int record_27(struct context *c)
{
    void *vcpu = (void *)arg(c, exit_vcpu), *vmcb = vmcb_of(vcpu);
    ROOM(leave, 27);
    r->vcpu_id = half(vcpu, vcpu_id);
    r->isa = svm_vmcb != NONE ? 2 : 1;
    r->pad = 0;
    if (!vmcb) {
        r->exit_reason = vmx_exit_reason != NONE ? half(vcpu, vmx_exit_reason) : NONE;
        r->guest_rip = r->info1 = r->info2 = r->cr3 = r->rsp = r->fs_base = 0;
        r->intr_info = r->cpl = 0;
        r->guest_mode = nests_vmx(vcpu);
        r->known = KNOWN_NOTHING;
    } else {
        PART(control, 0x70, 0x98);
        PART(segments, 0x448, 0x4d0);
        PART(registers, 0x550, 0x5e0);
        u32 nested_ctl = half_in(&control, vmcb, vmcb_nested_ctl);
        r->exit_reason = half_in(&control, vmcb, vmcb_exit_code);
        r->info1 = word_in(&control, vmcb, vmcb_info1);
        r->info2 = word_in(&control, vmcb, vmcb_info2);
        r->intr_info = half_in(&control, vmcb, vmcb_int_info);
        r->fs_base = word_in(&segments, vmcb, vmcb_fs_base);
        r->cpl = byte_in(&segments, vmcb, vmcb_cpl);
        r->guest_rip = word_in(&registers, vmcb, vmcb_rip);
        r->rsp = word_in(&registers, vmcb, vmcb_rsp);
        r->cr3 = cr3_of(vcpu, nested_ctl, word_in(&registers, vmcb, vmcb_cr3));
        r->guest_mode = nests(vcpu, vmcb);
        r->known = is_readable(vmcb, nested_ctl) ? KNOWN_ALL : KNOWN_NOTHING;
    }
    DONE();
}

ONE(kvm_inj_virq, 28, 0)
TWO(kvm_userspace_exit, 29, 0, 1)

struct three {
    struct head head;
    u32 first;
    u32 second;
    u32 third;
} PACKED;

SEC("raw_tp/kvm_set_irq")
int record_30(struct context *c)
{
    ROOM(three, 30);
    r->first = c->args[0];
    r->second = c->args[1];
    r->third = c->args[2];
    DONE();
}

struct words {
    struct head head;
    u64 first;
    u64 second;
} PACKED;

SEC("raw_tp/kvm_msi_set_irq")
int record_31(struct context *c)
{
    ROOM(words, 31);
    r->first = c->args[0];
    r->second = c->args[1];
    DONE();
}

struct accept {
    struct head head;
    u32 apicid;
    u16 dm;
    u8 tm;
    u8 vec;
} PACKED;

#define ACCEPT(name, number)                                   \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        ROOM(accept, number);                          \
        r->apicid = c->args[0];                        \
        r->dm = c->args[1];                            \
        r->tm = c->args[2];                            \
        r->vec = c->args[3];                           \
        DONE();                                        \
    }

ACCEPT(kvm_apic_accept_irq, 32)
ACCEPT(kvm_apicv_accept_irq, 33)

#define EOI(name, number)                                      \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        void *vcpu = pointer((void *)c->args[0], lapic_vcpu); \
        ROOM(two, number);                             \
        r->first = half(vcpu, vcpu_id);                \
        r->second = c->args[1];                        \
        DONE();                                        \
    }

EOI(kvm_eoi, 34)
EOI(kvm_pv_eoi, 35)

struct msr {
    struct head head;
    u32 write;
    u32 ecx;
    u64 data;
    u8 exception;
    u8 pad[3];
} PACKED;

SEC("raw_tp/kvm_msr")
int record_36(struct context *c)
{
    // Its deadline timer, and x2APIC's commands; others are many and say nothing.
    u32 ecx = c->args[1];
    if (ecx != 0x6e0 && (ecx < 0x800 || ecx > 0x8ff))
        return 0;
    ROOM(msr, 36);
    r->write = c->args[0];
    r->ecx = ecx;
    r->data = c->args[2];
    r->exception = c->args[3];
    r->pad[0] = r->pad[1] = r->pad[2] = 0;
    DONE();
}

TWO(kvm_apic_ipi, 37, 0, 1)

struct wake {
    struct head head;
    u64 ns;
    u8 waited;
    u8 valid;
    u8 pad[2];
} PACKED;

SEC("raw_tp/kvm_vcpu_wakeup")
int record_38(struct context *c)
{
    ROOM(wake, 38);
    r->ns = c->args[0];
    r->waited = c->args[1];
    r->valid = c->args[2];
    r->pad[0] = r->pad[1] = 0;
    DONE();
}

struct offset {
    struct head head;
    u32 vcpu_id;
    u64 previous;
    u64 next;
} PACKED;

SEC("raw_tp/kvm_write_tsc_offset")
int record_39(struct context *c)
{
    ROOM(offset, 39);
    r->vcpu_id = c->args[0];
    r->previous = c->args[1];
    r->next = c->args[2];
    DONE();
}

struct hypercall {
    struct head head;
    u64 nr;
    u64 a0;
    u64 a1;
    u64 a2;
    u64 a3;
} PACKED;

SEC("raw_tp/kvm_hypercall")
int record_40(struct context *c)
{
    ROOM(hypercall, 40);
    r->nr = c->args[0];
    r->a0 = c->args[1];
    r->a1 = c->args[2];
    r->a2 = c->args[3];
    r->a3 = c->args[4];
    DONE();
}

struct vmenter {
    struct head head;
    u64 rip;
    u64 vmcb;
    u64 nested_rip;
    u32 int_ctl;
    u32 event_inj;
} PACKED;

SEC("raw_tp/kvm_nested_vmenter")
int record_41(struct context *c)
{
    ROOM(vmenter, 41);
    r->rip = c->args[0];
    r->vmcb = c->args[1];
    r->nested_rip = c->args[2];
    r->int_ctl = c->args[3];
    r->event_inj = c->args[4];
    DONE();
}

struct inject {
    struct head head;
    u32 exit_code;
    u64 exit_info1;
    u64 exit_info2;
    u32 exit_int_info;
    u32 exit_int_info_err;
    u32 isa;
} PACKED;

SEC("raw_tp/kvm_nested_vmexit_inject")
int record_42(struct context *c)
{
    ROOM(inject, 42);
    r->exit_code = c->args[0];
    r->exit_info1 = c->args[1];
    r->exit_info2 = c->args[2];
    r->exit_int_info = c->args[3];
    r->exit_int_info_err = c->args[4];
    r->isa = c->args[5];
    DONE();
}

#define WORD(name, number, which)                              \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        ROOM(word, number);                            \
        r->value = c->args[which];                     \
        DONE();                                        \
    }

WORD(kvm_nested_intr_vmexit, 43, 0)

struct mmio {
    struct head head;
    u32 type;
    u32 len;
    u64 gpa;
} PACKED;

SEC("raw_tp/kvm_mmio")
int record_44(struct context *c)
{
    ROOM(mmio, 44);
    r->type = c->args[0];
    r->len = c->args[1];
    r->gpa = c->args[2];
    DONE();
}

struct pio {
    struct head head;
    u32 rw;
    u32 port;
    u32 size;
    u32 count;
} PACKED;

SEC("raw_tp/kvm_pio")
int record_45(struct context *c)
{
    ROOM(pio, 45);
    r->rw = c->args[0];
    r->port = c->args[1];
    r->size = c->args[2];
    r->count = c->args[3];
    DONE();
}

WORD(kvm_fast_mmio, 46, 0)

struct cr {
    struct head head;
    u32 rw;
    u32 cr;
    u64 val;
} PACKED;

#define CR(name, number)                                       \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        ROOM(cr, number);                              \
        r->rw = c->args[0];                            \
        r->cr = c->args[1];                            \
        r->val = c->args[2];                           \
        DONE();                                        \
    }

CR(kvm_cr, 47)
CR(kvm_apic, 48)
ONE(kvm_cpuid, 49, 0)

struct packet {
    struct head head;
    u64 skbaddr;
    u32 len;
    char device[16];
} PACKED;

#define PACKET(name, number)                                         \
    INLINE int name##s(struct context *c, int typed)             \
    {                                                            \
        void *skb = (void *)c->args[0];                      \
        void *dev = pointer_of(typed, skb, skb_dev);         \
        ROOM(packet, number);                                \
        WRITE_POINTER(r->skbaddr, skb);                      \
        r->len = half_of(typed, skb, skb_len);               \
        r->device[0] = 0;                                    \
        if (dev)                                             \
            name_of(typed, r->device, dev, net_device_name); \
        DONE();                                              \
    }                                                            \
    BOTH(name, number, name##s)

PACKET(net_dev_queue, 50)
PACKET(netif_receive_skb, 51)
PACKET(netif_rx, 52)

// What our module (kmod/virtflow_vmx.c) has read of the VMCS, just after the entry or the exit. All of
// it is known, or nothing is written.
#define MODULE_KNOWS_ALL 31

struct entered {
    struct head head;
    u32 vcpu_id;
    u64 cr3;
    u64 rip;
    u64 vmcs12;
    s32 vm_pid;
    u8 guest_mode;
    u8 pad[3];
    u64 rsp;
    u64 fs_base;
} PACKED;

SEC("raw_tp/virtflow_vcpu_enter")
int record_53(struct context *c)
{
    void *vcpu = (void *)c->args[0];
    if ((u32)c->args[6] != MODULE_KNOWS_ALL)
        return 0;
    ROOM(entered, 53);
    r->vcpu_id = half(vcpu, vcpu_id);
    r->cr3 = c->args[1];
    r->rip = c->args[2];
    r->vm_pid = half(pointer(vcpu, vcpu_kvm), kvm_userspace_pid);
    r->guest_mode = svm_vmcb != NONE ? nests(vcpu, vmcb_of(vcpu)) : nests_vmx(vcpu);
    r->vmcs12 = !r->guest_mode ? 0 : svm_vmcb != NONE ? word(vcpu, svm_vmcb12) : word(vcpu, vmx_vmcs12);
    r->pad[0] = r->pad[1] = r->pad[2] = 0;
    r->rsp = c->args[3];
    r->fs_base = c->args[4];
    DONE();
}

struct left {
    struct head head;
    u32 vcpu_id;
    u64 cr3;
    u64 rsp;
    u64 fs_base;
    u64 rip;
    u8 cpl;
    u8 guest_mode;
    u8 pad[2];
} PACKED;

SEC("raw_tp/virtflow_vcpu_exit")
int record_54(struct context *c)
{
    void *vcpu = (void *)c->args[0];
    if ((u32)c->args[6] != MODULE_KNOWS_ALL)
        return 0;
    ROOM(left, 54);
    r->vcpu_id = half(vcpu, vcpu_id);
    r->cr3 = c->args[1];
    r->rsp = c->args[3];
    r->fs_base = c->args[4];
    r->rip = c->args[2];
    r->cpl = c->args[5];
    r->guest_mode = svm_vmcb != NONE ? nests(vcpu, vmcb_of(vcpu)) : nests_vmx(vcpu);
    r->pad[0] = r->pad[1] = 0;
    DONE();
}

struct irte {
    struct head head;
    u32 host_irq;
    u32 vcpu_id;
    u32 gsi;
    u32 gvec;
    u32 set;
} PACKED;

SEC("raw_tp/kvm_pi_irte_update")
int record_55(struct context *c)
{
    ROOM(irte, 55);
    r->host_irq = c->args[0];
    // No vCPU is told as the kernel tells it: by -1.
    r->vcpu_id = irte_vcpu == NONE ? (u32)c->args[1] :
             c->args[1] ? half((void *)c->args[1], vcpu_id) : ~0u;
    r->gsi = c->args[2];
    r->gvec = c->args[3];
    // Before Linux 6.17 the address of the vCPU's descriptor comes before.
    r->set = (u8)arg(c, irte_set);
    DONE();
}

TWO(cpu_idle, 56, 0, 1)

// Since Linux 6.0 the vCPU comes first.
SEC("raw_tp/kvm_page_fault")
int record_57(struct context *c)
{
    u64 first = c->args[0], second = c->args[1];
    if (fault_vcpu == 0) {
        first = second;
        second = c->args[2];
    }
    ROOM(words, 57);
    r->first = first;
    r->second = second;
    DONE();
}

struct poll {
    struct head head;
    u32 vcpu_id;
    u32 next;
    u32 previous;
    u32 grow;
} PACKED;

SEC("raw_tp/kvm_halt_poll_ns")
int record_58(struct context *c)
{
    ROOM(poll, 58);
    r->vcpu_id = c->args[1];
    r->next = c->args[2];
    r->previous = c->args[3];
    r->grow = (u8)c->args[0];
    DONE();
}

#define WORDS(name, number)                                    \
    SEC("raw_tp/" #name) int record_##number(struct context *c) \
    {                                                      \
        ROOM(words, number);                           \
        r->first = c->args[0];                         \
        r->second = c->args[1];                        \
        DONE();                                        \
    }

WORDS(kvm_async_pf_not_present, 59)
WORDS(kvm_try_async_get_page, 60)
WORDS(kvm_async_pf_ready, 61)
WORDS(kvm_async_pf_completed, 62)

struct five {
    struct head head;
    u32 all[5];
} PACKED;

SEC("raw_tp/kvm_avic_incomplete_ipi")
int record_63(struct context *c)
{
    ROOM(five, 63);
    r->all[0] = c->args[0];
    r->all[1] = c->args[1];
    r->all[2] = c->args[2];
    r->all[3] = c->args[3];
    r->all[4] = c->args[4];
    DONE();
}

TWO(kvm_avic_ga_log, 64, 0, 1)
TWO(kvm_avic_doorbell, 65, 0, 1)

SEC("raw_tp/kvm_avic_kick_vcpu_slowpath")
int record_66(struct context *c)
{
    ROOM(three, 66);
    r->first = c->args[0];
    r->second = c->args[1];
    r->third = c->args[2];
    DONE();
}

struct access {
    struct head head;
    u32 vcpu;
    u32 offset;
    u32 vec;
    u32 ft;
    u32 rw;
} PACKED;

SEC("raw_tp/kvm_avic_unaccelerated_access")
int record_67(struct context *c)
{
    ROOM(access, 67);
    r->vcpu = c->args[0];
    r->offset = c->args[1];
    r->vec = c->args[4];
    r->ft = (u8)c->args[2];
    r->rw = (u8)c->args[3];
    DONE();
}

ONE(kvm_fpu, 68, 0)

struct migrate {
    struct head head;
    char comm[16];
    s32 tid;
    s32 prio;
    s32 orig_cpu;
    s32 dest_cpu;
} PACKED;

INLINE int migrates(struct context *c, int typed)
{
    void *task = (void *)c->args[0];
    ROOM(migrate, 69);
    name_of(typed, r->comm, task, task_comm);
    r->tid = half_of(typed, task, task_pid);
    r->prio = half_of(typed, task, task_prio) - 100;
    r->orig_cpu = half_of(typed, task, task_cpu);
    r->dest_cpu = c->args[1];
    DONE();
}

BOTH(sched_migrate_task, 69, migrates)

// Helpers for tracing want it.
char _license[] SEC("license") = "GPL";
