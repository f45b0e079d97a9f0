// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//
// What the recorder's programs are written with: the kernel's helpers, the rings, where fields are in
// this kernel, and how they are read.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define PACKED __attribute__((packed, aligned(4)))
#define NONE 0xffffffffu

// Numbers of helpers: include/uapi/linux/bpf.h, __BPF_FUNC_MAPPER.
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static u32 (*bpf_get_smp_processor_id)(void) = (void *)8;
static u64 (*bpf_get_current_pid_tgid)(void) = (void *)14;
static s64 (*bpf_probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static s64 (*bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static void *(*bpf_ringbuf_reserve)(void *ring, u64 size, u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *record, u64 flags) = (void *)132;
static u64 (*bpf_ringbuf_query)(void *ring, u64 what) = (void *)134;

// A reader that is woken for each record is most of what it then records: it looks by itself, and is
// woken where a ring fills up.
#define NO_WAKEUP 1
#define FORCE_WAKEUP 2

// A ring for each processor: none waits for another one's lock.
struct ring {
    int (*type)[27]; // BPF_MAP_TYPE_RINGBUF
    int (*max_entries)[1 << 16];
};

struct {
    int (*type)[12]; // BPF_MAP_TYPE_ARRAY_OF_MAPS
    u32 *key;
    int (*value_size)[4];
    int (*max_entries)[1];
    struct ring *values[];
} rings SEC(".maps");

// By processor: records for which there was no room.
struct {
    int (*type)[6]; // BPF_MAP_TYPE_PERCPU_ARRAY
    u32 *key;
    u64 *value;
    int (*max_entries)[1];
} lost SEC(".maps");

// By processor: what was lost of which no record has told yet, and from when to when.
struct loss {
    u64 count;
    u64 first;
    u64 last;
};

struct state {
    struct loss loss;
    // How many records were written, and whether the reader was woken since the ring was last rather
    // empty.
    u32 records;
    u32 is_woken;
    // Written at each record: no two processors' may share a line of the cache, nor two neighbours that
    // are fetched together.
    u64 apart[12];
};

struct {
    int (*type)[2]; // BPF_MAP_TYPE_ARRAY
    u32 *key;
    struct state *value;
    int (*max_entries)[1];
} states SEC(".maps");
// After a loss nothing is written until a ring has no more than this to be read: losses are few and
// long, not one between any two records.
const volatile u64 room_again = 0;
#define AVAILABLE 0 // BPF_RB_AVAIL_DATA
// The reader is woken where a ring has as much as this; one record in so many looks.
const volatile u64 wake_at = ~0ull;
#define LOOKS 64

// The processes whose KVM events are recorded, where not all are.
struct {
    int (*type)[1]; // BPF_MAP_TYPE_HASH
    s32 *key;
    u8 *value;
    int (*max_entries)[1];
} vms SEC(".maps");
const volatile u32 only_some_vms = 0;
// A bit for each kind of records that only a vCPU's own thread makes (`events.rs`).
const volatile u64 of_vcpus[2] = {};
#define OF_VCPU(number) (of_vcpus[number / 64] >> number % 64 & 1)

// Where fields are.
const volatile u32 task_pid = NONE, task_tgid = NONE, task_comm = NONE, task_prio = NONE;
const volatile u32 task_cpu = NONE;
const volatile u32 task_state = NONE, task_exit_state = NONE;
const volatile u32 task_thread_pid = NONE, pid_level = NONE, pid_numbers = NONE, upid_ns = NONE;
const volatile u32 upid_size = NONE, upid_nr = NONE, ns_inum = NONE;
const volatile u32 hrtimer_function = NONE;
const volatile u32 request_sector = NONE, request_bytes = NONE, request_disk = NONE;
const volatile u32 request_queue = NONE, queue_disk = NONE, request_flags = NONE;
const volatile u32 disk_major = NONE, disk_first_minor = NONE;
const volatile u32 irqaction_name = NONE, skb_len = NONE, skb_dev = NONE, net_device_name = NONE;
const volatile u32 vcpu_id = NONE, vcpu_kvm = NONE, kvm_userspace_pid = NONE;
const volatile u32 lapic_vcpu = NONE, svm_vmcb = NONE, svm_vmcb01 = NONE, svm_vmcb12 = NONE;
const volatile u32 vmcb_cr3 = NONE, vmcb_rip = NONE, vmcb_rsp = NONE, vmcb_fs_base = NONE, vmcb_cpl = NONE;
const volatile u32 vmcb_nested_ctl = NONE, vcpu_hflags = NONE;
// Where KVM keeps the guest's general registers, and which of them are these.
const volatile u32 vcpu_regs = NONE, rsp_at = NONE, rip_at = NONE;
const volatile u32 vmcb_exit_code = NONE, vmcb_info1 = NONE, vmcb_info2 = NONE, vmcb_int_info = NONE;
// Intel's. At the tracepoints KVM has not read most of the VMCS, and the programs cannot: they take
// what KVM keeps, and only where its own bits say that it is that of this stay in the guest.
const volatile u32 vmx_exit_reason = NONE, vmx_loaded = NONE, vmx_own = NONE, vmx_vmcs12 = NONE;
const volatile u32 vcpu_kept = NONE, vcpu_cr3 = NONE, cr3_bit = NONE;
// Which argument is which, from 0.
const volatile u32 switch_prev = NONE, switch_state = NONE, entry_vcpu = NONE, exit_vcpu = NONE;
const volatile u32 issue_request = NONE, complete_status = NONE, fault_vcpu = NONE, irte_vcpu = NONE;
const volatile u32 irte_set = NONE;
// What the kernel makes of each status of the block layer.
const volatile s32 errnos[256] = {};
// Whether our own module (kmod/) tells of entries and exits what KVM does not know.
const volatile u32 has_module = 0;

struct context {
    u64 args[12];
};

struct head {
    u64 time;
    u16 kind;
    u16 cpu;
    s32 tid;
    s32 pid;
} PACKED;

INLINE void loses(struct state *state, u64 now)
{
    u32 zero = 0;
    u64 *count = bpf_map_lookup_elem(&lost, &zero);
    // The state first: who finds a count finds what is not told of it (`look.rs`).
    if (state) {
        if (!state->loss.count)
            state->loss.first = now;
        state->loss.last = now;
        // Interrupts come in between.
        __sync_fetch_and_add(&state->loss.count, 1);
    }
    if (count)
        __sync_fetch_and_add(count, 1);
}

// Whether what runs is no VM of those whose KVM events are wanted.
INLINE int is_unwanted(void)
{
    s32 process;
    if (!only_some_vms)
        return 0;
    process = bpf_get_current_pid_tgid() >> 32;
    return !bpf_map_lookup_elem(&vms, &process);
}

INLINE void begin(struct head *head, u16 kind, u32 cpu, u64 time)
{
    u64 who = bpf_get_current_pid_tgid();
    head->time = time;
    head->kind = kind;
    head->cpu = cpu;
    head->tid = (u32)who;
    head->pid = who >> 32;
}

// The kind of record that tells of a loss (`order.rs`), and what it tells.
#define LOSS 0xffff
struct told {
    struct head head;
    struct loss loss;
} PACKED;

// Tells of a loss when there is room again: whether there is.
static __attribute__((noinline)) int tells(void *ring, struct loss *loss, u32 cpu)
{
    struct told *r;
    struct loss own;
    if (bpf_ringbuf_query(ring, AVAILABLE) > room_again)
        return 0;
    r = bpf_ringbuf_reserve(ring, sizeof(*r), 0);
    if (!r)
        return 0;
    own = *loss;
    // What an interrupt loses from here on is another loss.
    loss->count = 0;
    begin(&r->head, LOSS, cpu, own.first);
    r->loss.count = own.count;
    r->loss.first = own.first;
    r->loss.last = own.last;
    bpf_ringbuf_submit(r, NO_WAKEUP);
    return 1;
}

// Whether the reader is woken.
static __attribute__((noinline)) u64 looks(void *ring, struct state *state)
{
    if (bpf_ringbuf_query(ring, AVAILABLE) < wake_at) {
        state->is_woken = 0;
        return NO_WAKEUP;
    }
    if (state->is_woken)
        return NO_WAKEUP;
    state->is_woken = 1;
    return FORCE_WAKEUP;
}

// How a record is submitted.
INLINE u64 wakes(void *ring, struct state *state)
{
    state->records += 1;
    return state->records % LOOKS ? NO_WAKEUP : looks(ring, state);
}

// Takes room for a record of one kind, or counts its loss and leaves.
#define ROOM(record, number)                                            \
    if (OF_VCPU(number) && is_unwanted())                           \
        return 0;                                               \
    u64 now = bpf_ktime_get_ns();                                   \
    u32 cpu = bpf_get_smp_processor_id();                           \
    void *ring = bpf_map_lookup_elem(&rings, &cpu);                 \
    struct state *own = bpf_map_lookup_elem(&states, &cpu);         \
    struct record *r = 0;                                           \
    if (ring && own &&                                              \
        (!own->loss.count || tells(ring, &own->loss, cpu)))         \
        r = bpf_ringbuf_reserve(ring, sizeof(*r), 0);           \
    if (!r) {                                                       \
        loses(own, now);                                        \
        return 0;                                               \
    }                                                               \
    begin(&r->head, number, cpu, now)

#define DONE()                                        \
    bpf_ringbuf_submit(r, wakes(ring, own));      \
    return 0

INLINE u64 word(const void *from, u32 at)
{
    u64 value = 0;
    if (at != NONE)
        bpf_probe_read_kernel(&value, 8, (const char *)from + at);
    return value;
}

INLINE u32 half(const void *from, u32 at)
{
    u32 value = 0;
    if (at != NONE)
        bpf_probe_read_kernel(&value, 4, (const char *)from + at);
    return value;
}

INLINE u8 byte(const void *from, u32 at)
{
    u8 value = 0;
    if (at != NONE)
        bpf_probe_read_kernel(&value, 1, (const char *)from + at);
    return value;
}

INLINE void *pointer(const void *from, u32 at)
{
    return (void *)word(from, at);
}

// The kernel gives a program two ways to an argument. A raw tracepoint's is a number, and each field is
// read with a call of a helper. Where the kernel's type information has the tracepoint (tp_btf), the
// verifier knows what the argument points to: the field is a load. `typed` is which, known to the
// compiler.
INLINE u64 word_of(int typed, const void *from, u32 at)
{
    if (!typed)
        return word(from, at);
    return at != NONE ? *(const u64 *)((const char *)from + at) : 0;
}

INLINE u32 half_of(int typed, const void *from, u32 at)
{
    if (!typed)
        return half(from, at);
    return at != NONE ? *(const u32 *)((const char *)from + at) : 0;
}

INLINE void *pointer_of(int typed, const void *from, u32 at)
{
    return (void *)word_of(typed, from, at);
}

// 16 bytes: the name of a thread or a network device.
INLINE void name_of(int typed, char *to, const void *from, u32 at)
{
    struct words {
        u64 word;
    } PACKED;
    if (at == NONE) {
        *to = 0;
    } else if (typed) {
        from = (const char *)from + at;
        ((struct words *)to)[0].word = ((const u64 *)from)[0];
        ((struct words *)to)[1].word = ((const u64 *)from)[1];
    } else if (bpf_probe_read_kernel(to, 16, (const char *)from + at)) {
        *to = 0;
    }
}

// Writes a pointer down, in one: the verifier lets none be taken to pieces.
#define WRITE_POINTER(field, value) (*(void **)(void *)&(field) = (value))

// One body as two programs, of which the loader takes the typed one where the kernel does.
#define BOTH(name, number, body)                                      \
    SEC("raw_tp/" #name) int record_##number(struct context *c)   \
    {                                                             \
        return body(c, 0);                                    \
    }                                                             \
    SEC("tp_btf/" #name) int typed_##number(struct context *c)    \
    {                                                             \
        return body(c, 1);                                    \
    }

// The verifier takes no sum for the address of an argument: written out, so that the compiler makes
// none.
#define ARG(number) asm volatile("%0 = *(u64 *)(%1 + 8 * " #number ")" : "=r"(value) : "r"(c))

INLINE u64 arg(struct context *c, u32 number)
{
    u64 value = 0;
    if (number == 0)
        ARG(0);
    else if (number == 1)
        ARG(1);
    else if (number == 2)
        ARG(2);
    else if (number == 3)
        ARG(3);
    else if (number == 4)
        ARG(4);
    else if (number == 5)
        ARG(5);
    return value;
}

INLINE void comm(char *to, const void *task)
{
    name_of(0, to, task, task_comm);
}

// The number of the innermost pid namespace of a thread (kernel/pid.c task_active_pid_ns); 0 where it
// cannot be found.
INLINE u32 namespace(const void *task)
{
    void *pid;
    u32 level;
    if (task_thread_pid == NONE || pid_level == NONE || upid_ns == NONE || ns_inum == NONE)
        return 0;
    pid = pointer(task, task_thread_pid);
    if (!pid)
        return 0;
    level = half(pid, pid_level);
    pid = pointer((char *)pid + pid_numbers + (u64)level * upid_size, upid_ns);
    return pid ? half(pid, ns_inum) : 0;
}

// What include/trace/events/sched.h __trace_sched_switch_state makes of a state.
INLINE s64 traced_state(u32 preempted, u32 state, u32 exit_state)
{
    if (preempted)
        return 0x100; // TASK_REPORT_MAX
    if (state & 0x9000) // TASK_RTLOCK_WAIT, TASK_FROZEN
        return 2;
    if ((state & 0x402) == 0x402) // TASK_IDLE
        return 0x80; // TASK_REPORT_IDLE
    state = (state | exit_state) & 0x7f; // TASK_REPORT
    for (int bit = 6; bit >= 0; bit--)
        if (state & (1 << bit))
            return 1 << bit;
    return 0;
}
