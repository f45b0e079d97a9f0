//! The event classes of traces made here.

use virtflow_ctf::writer::{EventClass, Field, FieldType, IntegerType};

/// What a field of a [`pipeline`](crate::pipeline()) event holds: decides which values a byte of
/// the input stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Number,
    Tid,
    Cpu,
    Cr3,
    Exit,
    Comm,
    State,
}

/// A field of an event that the model may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) domain: Domain,
    /// Its size; of text the length, 0 for strings that end with NUL.
    pub(crate) bits: u8,
}

/// The kernel's events by the names that LTTng gives them. Types as in `u32:name`: `u` and `i`
/// are integers, `t` is text of 16 characters, `s` a string.
const KERNEL: &[(&str, &str)] = &[
    (
        "sched_switch",
        "t:prev_comm i32:prev_tid i64:prev_state t:next_comm i32:next_tid i32:next_prio",
    ),
    ("sched_waking", "t:comm i32:tid i32:prio i32:target_cpu"),
    ("sched_wakeup", "t:comm i32:tid i32:prio i32:target_cpu"),
    ("sched_wakeup_new", "t:comm i32:tid i32:prio i32:target_cpu"),
    ("sched_migrate_task", "i32:tid i32:orig_cpu i32:dest_cpu"),
    (
        "sched_process_fork",
        "i32:parent_tid i32:child_tid i32:parent_pid i32:child_pid t:child_comm u32:child_ns_inum",
    ),
    ("sched_process_exec", "i32:tid i32:old_tid"),
    ("sched_process_exit", "i32:tid"),
    ("sched_process_free", "i32:tid"),
    ("irq_handler_entry", "i32:irq s:name"),
    ("irq_handler_exit", "i32:irq"),
    ("irq_softirq_entry", "u32:vec"),
    ("irq_softirq_exit", "u32:vec"),
    ("x86_irq_vectors_local_timer_entry", "i32:vector"),
    ("x86_irq_vectors_local_timer_exit", "i32:vector"),
    (
        "timer_hrtimer_expire_entry",
        "u64:hrtimer u64:function i64:now",
    ),
    ("timer_hrtimer_expire_exit", "u64:hrtimer"),
    ("block_rq_issue", "u32:dev u64:sector u32:nr_sector i32:tid"),
    ("block_rq_complete", "u32:dev u64:sector u32:nr_sector"),
    ("net_if_receive_skb", "u64:skbaddr u32:len s:name"),
    ("net_dev_queue", "u64:skbaddr u32:len s:name"),
    ("net_dev_xmit", "u64:skbaddr u32:len s:name"),
    ("kvm_x86_entry", "u32:vcpu_id u64:rip u32:intr_info"),
    (
        "kvm_x86_exit",
        "u32:exit_reason u32:isa u64:guest_rip u64:info1 u64:info2 u32:vcpu_id u32:intr_info",
    ),
    ("kvm_x86_inj_virq", "u32:irq u8:reinjected"),
    ("kvm_x86_apic_accept_irq", "u32:apicid u16:dm u8:vec"),
    ("kvm_x86_apic_ipi", "u32:icr_low u32:dest_id"),
    ("kvm_x86_apic", "u32:rw u32:reg u64:val"),
    ("kvm_x86_eoi", "u32:apicid u32:vector"),
    ("kvm_x86_msr", "u32:write u32:ecx u64:data"),
    ("kvm_x86_cr", "u32:rw u32:cr u64:cr3val"),
    ("kvm_x86_pio", "u32:rw u32:port u32:size"),
    ("kvm_mmio", "u32:type u32:len u64:gpa"),
    ("kvm_fast_mmio", "u64:gpa"),
    ("kvm_set_irq", "u32:gsi i32:level"),
    ("kvm_msi_set_irq", "u64:address u64:data"),
    ("kvm_userspace_exit", "u32:reason i32:errno"),
    ("kvm_vcpu_wakeup", "u64:ns u8:waited u8:valid"),
    ("kvm_fpu", "u32:load"),
    (
        "kvm_x86_nested_vmrun",
        "u64:rip u64:vmcb u64:nested_rip u32:event_inj",
    ),
    ("kvm_x86_nested_vmexit", "u32:exit_code u32:isa u64:rip"),
    (
        "kvm_x86_nested_vmexit_inject",
        "u32:exit_code u32:exit_int_info u32:isa",
    ),
    ("kvm_x86_nested_intr_vmexit", "u64:rip"),
    (
        "vcpu_enter_guest",
        "u32:vcpu_id u64:cr3 u64:rip u8:guest_mode u64:l1_cr3 u64:vmcb12_cr3 i32:vm_pid",
    ),
    (
        "vcpu_exit_guest",
        "u32:vcpu_id u64:cr3 u8:cpl u8:guest_mode",
    ),
    (
        "addons_vcpu_enter_guest",
        "u32:vcpuID u64:cr3tmp u64:sptmp u64:iptmp",
    ),
    ("lttng_statedump_start", ""),
    ("lttng_statedump_end", ""),
    (
        "lttng_statedump_process_state",
        "i32:tid i32:pid i32:ppid t:name i32:type i32:status u32:cpu",
    ),
    (
        "lttng_statedump_process_pid_ns",
        "i32:tid u32:ns_inum i32:ns_level",
    ),
    ("syscall_entry_read", ""),
    ("syscall_exit_read", "i64:ret"),
];

/// The number of a class of [`kernel`] by its name.
pub(crate) fn number(name: &str) -> usize {
    let at = KERNEL.iter().position(|(known, _)| *known == name);
    at.expect("a class that there is")
}

/// The name of a class of [`kernel`] by its number.
pub(crate) fn name(number: usize) -> &'static str {
    KERNEL.get(number).map_or("", |(name, _)| name)
}

pub(crate) const COUNT: usize = KERNEL.len();

/// The fields of every class.
pub(crate) fn slots() -> Vec<Vec<Slot>> {
    KERNEL
        .iter()
        .map(|(_, fields)| fields.split_whitespace().map(slot).collect())
        .collect()
}

fn slot(field: &str) -> Slot {
    let (ty, name) = field.split_once(':').expect("type and name");
    let bits = match ty {
        "t" => 16,
        "s" => 0,
        ty => ty[1..].parse().expect("a number of bits"),
    };
    let domain = match name {
        _ if ty == "t" || ty == "s" => Domain::Comm,
        "prev_state" => Domain::State,
        "exit_reason" | "exit_code" => Domain::Exit,
        name if name.ends_with("tid") || name.ends_with("pid") => Domain::Tid,
        name if name.ends_with("cpu") => Domain::Cpu,
        name if name.contains("cr3") || name == "vmcb" || name == "gpa" => Domain::Cr3,
        _ => Domain::Number,
    };
    Slot { domain, bits }
}

/// How a kernel's trace may differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// Whether it describes the tracer's dump of what there was.
    pub(crate) dump: bool,
    /// Whether it describes nested entries.
    pub(crate) nested: bool,
}

/// The classes of a kernel's trace that are `used`; a class's id is its number in [`slots`].
pub(crate) fn kernel(dialect: Dialect, used: &[bool]) -> Vec<EventClass> {
    let used = KERNEL
        .iter()
        .enumerate()
        .filter(|(number, _)| used[*number]);
    let classes = used.map(|(number, (name, fields))| {
        let hidden = (!dialect.dump && name.contains("statedump"))
            || (!dialect.nested && *name == "kvm_x86_nested_vmrun");
        let name = if hidden {
            format!("not_{name}")
        } else {
            (*name).to_owned()
        };
        let fields = fields.split_whitespace().map(field).collect();
        EventClass::new(u32::try_from(number).unwrap_or(u32::MAX), name, fields)
    });
    classes.collect()
}

fn field(text: &str) -> Field {
    let (ty, name) = text.split_once(':').expect("type and name");
    let name = match name {
        "cr3val" => "_val".to_owned(),
        "vmcb12_cr3" => "_vmcb12".to_owned(),
        name => format!("_{name}"),
    };
    let bits = slot(text).bits;
    match ty.as_bytes()[0] {
        b't' => Field::text(name, 16),
        b's' => Field::string(name),
        b'i' => Field::signed(name, bits),
        _ => Field::unsigned(name, bits),
    }
}

/// Classes with every shape of field, and ids for both forms of both headers.
pub(crate) fn any_shape() -> Vec<EventClass> {
    let integer = |bits, signed, base| FieldType::Integer(IntegerType { bits, signed, base });
    let integers = [1, 5, 8, 13, 16, 24, 31, 32, 33, 47, 63, 64];
    let both = |bits: u8| {
        [
            Field::unsigned(format!("_u{bits}"), bits),
            Field::signed(format!("_i{bits}"), bits),
        ]
    };
    let sequence = |name: &str, element| {
        let length = format!("_{name}_length");
        [
            Field::unsigned(length.clone(), 8),
            Field::new(
                format!("_{name}"),
                FieldType::Sequence {
                    length,
                    element: Box::new(element),
                },
            ),
        ]
    };
    let pair = || FieldType::Struct(vec![Field::unsigned("_a", 8), Field::string("_b")]);
    let labels = vec![("zero".to_owned(), 0, 0), ("few".to_owned(), 1, 100)];
    let mut classes = vec![
        EventClass::new(
            0,
            "sched_switch",
            vec![
                Field::text("_prev_comm", 16),
                Field::signed("_prev_tid", 32),
                Field::signed("_prev_state", 64),
                Field::text("_next_comm", 16),
                Field::signed("_next_tid", 32),
            ],
        ),
        EventClass::new(1, "integers", integers.into_iter().flat_map(both).collect()),
        EventClass::new(
            2,
            "texts",
            vec![
                Field::string("_first"),
                Field::text("_second", 7),
                Field::string("_third"),
            ],
        ),
        EventClass::new(
            3,
            "lists",
            [
                vec![Field::new(
                    "_fixed",
                    FieldType::Array(Box::new(integer(16, true, 16)), 3),
                )],
                sequence("bytes", integer(8, false, 16)).into(),
                sequence("pairs", pair()).into(),
                sequence("nothing", FieldType::Struct(Vec::new())).into(),
            ]
            .concat(),
        ),
        EventClass::new(
            4,
            "labels",
            vec![Field::new(
                "_label",
                FieldType::Enum(IntegerType::signed(16), labels),
            )],
        ),
        EventClass::verbatim(5, "choices", CHOICES),
        EventClass::verbatim(6, "bits", BITS),
        EventClass::new(7, "nothing", Vec::new()),
        EventClass::new(30, "last_short_compact", vec![Field::unsigned("_a", 8)]),
        EventClass::new(31, "first_long_compact", vec![Field::unsigned("_a", 8)]),
        EventClass::new(65534, "last_short_large", vec![Field::unsigned("_a", 8)]),
        EventClass::new(65535, "first_long_large", vec![Field::unsigned("_a", 8)]),
    ];
    classes.push(EventClass::new(
        u32::MAX,
        "kvm_x86_exit",
        vec![
            Field::unsigned("_exit_reason", 32),
            Field::unsigned("_vcpu_id", 32),
        ],
    ));
    classes
}

const CHOICES: &str = r#"enum : integer { size = 8; align = 8; signed = 0; } { "_none" = 0, "_one" = 1, "_other" = 2 ... 9, } _tag;
        variant <_tag> {
            struct { } _none;
            struct {
                integer { size = 4; align = 4; signed = 0; byte_order = be; } _high;
                integer { size = 4; align = 4; signed = 1; byte_order = be; } _low;
                enum : integer { size = 8; align = 8; signed = 0; } { "_x" = 0, "_y" = 1 ... 255, } _inner_tag;
                variant <_inner_tag> {
                    integer { size = 16; align = 8; signed = 0; } _x;
                    string _y;
                } _inner;
            } _one;
            integer { size = 32; align = 32; signed = 0; } _other;
        } _choice;
        integer { size = 8; align = 8; signed = 0; } _behind;"#;

const BITS: &str = r"integer { size = 3; align = 1; signed = 0; } _a;
        integer { size = 64; align = 1; signed = 1; } _b;
        integer { size = 13; align = 1; signed = 0; byte_order = be; } _c;
        floating_point { exp_dig = 8; mant_dig = 24; align = 1; } _single;
        floating_point { exp_dig = 11; mant_dig = 53; align = 64; byte_order = be; } _double;
        integer { size = 1; align = 1; signed = 0; } _d[5];";
