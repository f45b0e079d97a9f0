//! What is recorded: the tracepoints, and the events that are made of their records.
//!
//! Names and fields are those of LTTng-modules 2.13, so that whatever reads its traces reads ours. A
//! field is written `type:name`; types are `i32` (signed), `u32` (unsigned), `x64` (unsigned,
//! hexadecimal) and `text` (16 characters). `bpf/record.bpf.c` writes the records.

use virtflow_ctf::writer::{EventClass, Field, FieldType, IntegerType};

/// What a tracepoint is recorded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Threads and processors; always needed.
    Sched,
    /// Interrupts and timers.
    Irq,
    /// Disks.
    Block,
    /// Packets.
    Net,
    /// Frequencies.
    Power,
    /// KVM.
    Kvm,
    /// Idle states; KVM's page faults, polling, and interrupts that the hardware delivers: of no use to
    /// the analyses, but to whoever reads the events.
    Detail,
}

/// An event that is written for a record.
pub(crate) struct Class {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its fields.
    pub(crate) fields: &'static str,
    /// Which bytes of the record they are, in order; all for none.
    pub(crate) parts: &'static [(usize, usize)],
    /// Of which records it is made.
    pub(crate) when: When,
}

/// Of which records an event is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// All.
    Always,
    /// Those of processors of this kind.
    On(Vendor),
    /// Those of processors of this kind in which the byte at a place says how much is known; not
    /// where our module tells it.
    Known(Vendor, usize, u8),
}

/// Who can tell what the guest's registers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tells {
    pub(crate) vendor: Vendor,
    /// Our own module (`kmod/`) is loaded, and tells it.
    pub(crate) module: bool,
}

/// Whose virtualization the processors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// SVM: all of the guest's state is in memory.
    Amd,
    /// VMX: most of it has to be asked of the processor.
    Intel,
    /// None: nothing is known of a guest but when it is entered and left.
    Other,
}

impl When {
    /// Which byte of the fields must say what on such a machine, if any; `None` where the event is
    /// not made there.
    pub(crate) fn on(self, machine: Tells) -> Option<Option<(usize, u8)>> {
        let vendor = match machine.vendor {
            Vendor::Amd => Vendor::Amd,
            Vendor::Intel | Vendor::Other => Vendor::Intel,
        };
        match self {
            Self::Always => Some(None),
            Self::On(on) => (on == vendor).then_some(None),
            Self::Known(on, at, known) => {
                (on == vendor && !machine.module).then_some(Some((at, known)))
            }
        }
    }
}

/// All registers of the guest that an event has are known.
const KNOWN_ALL: u8 = 1;
/// Only the page table is.
const KNOWN_CR3: u8 = 2;

/// A tracepoint, in the order of its records' kinds.
pub(crate) struct Tracepoint {
    /// As the kernel calls it.
    pub(crate) name: &'static str,
    /// As it did before, with the same arguments.
    pub(crate) older: Option<&'static str>,
    pub(crate) group: Group,
    pub(crate) classes: &'static [Class],
    /// It is one of our own module's.
    pub(crate) of_module: bool,
    /// Only a vCPU's own thread passes it: whose it is, is whose VM it tells of.
    pub(crate) of_vcpu: bool,
}

const PLAIN: Tracepoint = Tracepoint {
    name: "",
    older: None,
    group: Group::Kvm,
    classes: &[],
    of_module: false,
    of_vcpu: false,
};

const fn class(name: &'static str, fields: &'static str) -> Class {
    Class {
        name,
        fields,
        parts: &[],
        when: When::Always,
    }
}

macro_rules! tracepoints {
    ($($group:ident $($vcpu:ident)? $tracepoint:literal $name:literal $fields:literal;)*) => {
        &[$(Tracepoint {
            name: $tracepoint,
            group: Group::$group,
            of_vcpu: !stringify!($($vcpu)?).is_empty(),
            classes: &[class($name, $fields)],
            ..PLAIN
        }),*]
    };
}

const BEFORE_KVM: &[Tracepoint] = tracepoints! {
    Sched "sched_switch" "sched_switch" "text:prev_comm i32:prev_tid i32:prev_prio i64:prev_state text:next_comm i32:next_tid i32:next_prio";
    Sched "sched_waking" "sched_waking" "text:comm i32:tid i32:prio i32:target_cpu";
    Sched "sched_wakeup_new" "sched_wakeup_new" "text:comm i32:tid i32:prio i32:target_cpu";
    Sched "sched_process_fork" "sched_process_fork" "text:parent_comm i32:parent_tid i32:parent_pid text:child_comm i32:child_tid i32:child_pid u32:child_ns_inum";
    Sched "sched_process_exec" "sched_process_exec" "text:comm i32:tid i32:old_tid";
    Sched "sched_process_exit" "sched_process_exit" "text:comm i32:tid i32:prio";
    Sched "sched_process_free" "sched_process_free" "text:comm i32:tid i32:prio";
    Irq "irq_handler_entry" "irq_handler_entry" "i32:irq text:name";
    Irq "irq_handler_exit" "irq_handler_exit" "i32:irq i32:ret";
    Irq "softirq_entry" "irq_softirq_entry" "u32:vec";
    Irq "softirq_exit" "irq_softirq_exit" "u32:vec";
    Irq "local_timer_entry" "x86_irq_vectors_local_timer_entry" "i32:vector";
    Irq "local_timer_exit" "x86_irq_vectors_local_timer_exit" "i32:vector";
    Irq "reschedule_entry" "x86_irq_vectors_reschedule_entry" "i32:vector";
    Irq "reschedule_exit" "x86_irq_vectors_reschedule_exit" "i32:vector";
    Irq "call_function_single_entry" "x86_irq_vectors_call_function_single_entry" "i32:vector";
    Irq "call_function_single_exit" "x86_irq_vectors_call_function_single_exit" "i32:vector";
    Irq "call_function_entry" "x86_irq_vectors_call_function_entry" "i32:vector";
    Irq "call_function_exit" "x86_irq_vectors_call_function_exit" "i32:vector";
    Irq "irq_work_entry" "x86_irq_vectors_irq_work_entry" "i32:vector";
    Irq "irq_work_exit" "x86_irq_vectors_irq_work_exit" "i32:vector";
    Irq "hrtimer_expire_entry" "timer_hrtimer_expire_entry" "x64:hrtimer i64:now x64:function";
    Irq "hrtimer_expire_exit" "timer_hrtimer_expire_exit" "x64:hrtimer";
    Block "block_rq_issue" "block_rq_issue" "u32:dev u64:sector u32:nr_sector u32:bytes i32:tid u32:rwbs text:comm";
    Block "block_rq_complete" "block_rq_complete" "u32:dev u64:sector u32:nr_sector i32:error u32:rwbs";
    Power "cpu_frequency" "power_cpu_frequency" "u32:state u32:cpu_id";
};

/// One record of a `kvm_entry` and of a `kvm_exit` is KVM's own event, and that of the page table
/// that the processor has then, where it is known: on AMD always, after the entry and after the exit.
/// On Intel KVM knows the page table at some entries, and tells its own event before; of an exit it
/// has read nothing but the reason.
const ENTRY_AND_EXIT: &[Tracepoint] = &[
    Tracepoint {
        name: "kvm_entry",
        group: Group::Kvm,
        of_vcpu: true,
        classes: &[
            Class {
                name: "addons_vcpu_enter_guest",
                fields: "u32:vcpuID x64:cr3tmp",
                parts: &[(0, 12)],
                when: When::Known(Vendor::Intel, 41, KNOWN_CR3),
            },
            Class {
                name: "kvm_x86_entry",
                fields: "u32:vcpu_id",
                parts: &[(0, 4)],
                when: When::Always,
            },
            Class {
                name: "vcpu_enter_guest",
                fields: "u32:vcpu_id x64:cr3 x64:rip x64:l1_cr3 x64:vmcb12 i32:vm_pid u8:guest_mode x64:rsp x64:fs_base",
                parts: &[(0, 41), (44, 60)],
                when: When::Known(Vendor::Amd, 41, KNOWN_ALL),
            },
        ],
        ..PLAIN
    },
    Tracepoint {
        name: "kvm_exit",
        group: Group::Kvm,
        of_vcpu: true,
        classes: &[
            Class {
                name: "kvm_x86_exit",
                fields: "u32:exit_reason u64:guest_rip u32:isa u64:info1 u64:info2 u32:intr_info u32:vcpu_id",
                parts: &[(0, 40)],
                when: When::On(Vendor::Amd),
            },
            Class {
                name: "kvm_x86_exit",
                fields: "u32:exit_reason u32:isa u32:vcpu_id",
                parts: &[(0, 4), (12, 16), (36, 40)],
                when: When::On(Vendor::Intel),
            },
            Class {
                name: "vcpu_exit_guest",
                fields: "u32:vcpu_id x64:cr3 x64:rsp x64:fs_base u8:cpl u8:guest_mode",
                parts: &[(36, 66)],
                when: When::Known(Vendor::Amd, 66, KNOWN_ALL),
            },
        ],
        ..PLAIN
    },
];

const OF_KVM: &[Tracepoint] = &[
    vcpu("kvm_inj_virq", &[class("kvm_x86_inj_virq", "u32:irq")]),
    vcpu(
        "kvm_userspace_exit",
        &[class("kvm_userspace_exit", "u32:reason i32:errno")],
    ),
    kvm(
        "kvm_set_irq",
        &[class("kvm_set_irq", "u32:gsi i32:level i32:irq_source_id")],
    ),
    kvm(
        "kvm_msi_set_irq",
        &[class("kvm_msi_set_irq", "x64:address u64:data")],
    ),
    kvm(
        "kvm_apic_accept_irq",
        &[class(
            "kvm_x86_apic_accept_irq",
            "u32:apicid u16:dm u8:tm u8:vec",
        )],
    ),
    kvm(
        "kvm_apicv_accept_irq",
        &[class(
            "kvm_apicv_accept_irq",
            "u32:apicid u16:dm u8:tm u8:vec",
        )],
    ),
    vcpu("kvm_eoi", &[class("kvm_x86_eoi", "u32:apicid i32:vector")]),
    vcpu(
        "kvm_pv_eoi",
        &[class("kvm_x86_pv_eoi", "u32:apicid i32:vector")],
    ),
    vcpu(
        "kvm_msr",
        &[Class {
            name: "kvm_x86_msr",
            fields: "u32:write u32:ecx u64:data u8:exception",
            parts: &[(0, 17)],
            when: When::Always,
        }],
    ),
    vcpu(
        "kvm_apic_ipi",
        &[class("kvm_x86_apic_ipi", "u32:icr_low u32:dest_id")],
    ),
    vcpu(
        "kvm_vcpu_wakeup",
        &[Class {
            name: "kvm_vcpu_wakeup",
            fields: "u64:ns u8:waited u8:valid",
            parts: &[(0, 10)],
            when: When::Always,
        }],
    ),
    kvm(
        "kvm_write_tsc_offset",
        &[class(
            "kvm_x86_write_tsc_offset",
            "u32:vcpu_id u64:previous_tsc_offset u64:next_tsc_offset",
        )],
    ),
    vcpu(
        "kvm_hypercall",
        &[class(
            "kvm_x86_hypercall",
            "u64:nr u64:a0 u64:a1 u64:a2 u64:a3",
        )],
    ),
    Tracepoint {
        name: "kvm_nested_vmenter",
        older: Some("kvm_nested_vmrun"),
        of_vcpu: true,
        classes: &[class(
            "kvm_x86_nested_vmrun",
            "u64:rip u64:vmcb u64:nested_rip u32:int_ctl u32:event_inj",
        )],
        ..PLAIN
    },
    vcpu(
        "kvm_nested_vmexit_inject",
        &[class(
            "kvm_x86_nested_vmexit_inject",
            "u32:exit_code u64:exit_info1 u64:exit_info2 u32:exit_int_info u32:exit_int_info_err u32:isa",
        )],
    ),
    vcpu(
        "kvm_nested_intr_vmexit",
        &[class("kvm_x86_nested_intr_vmexit", "u64:rip")],
    ),
    vcpu("kvm_mmio", &[class("kvm_mmio", "u32:type u32:len u64:gpa")]),
    vcpu(
        "kvm_pio",
        &[class("kvm_x86_pio", "u32:rw u32:port u32:size u32:count")],
    ),
    vcpu("kvm_fast_mmio", &[class("kvm_fast_mmio", "u64:gpa")]),
    vcpu("kvm_cr", &[class("kvm_x86_cr", "u32:rw u32:cr u64:val")]),
    vcpu(
        "kvm_apic",
        &[class("kvm_x86_apic", "u32:rw u32:reg u64:val")],
    ),
    vcpu("kvm_cpuid", &[class("kvm_x86_cpuid", "u32:function")]),
];

const OF_NET: &[Tracepoint] = tracepoints! {
    Net "net_dev_queue" "net_dev_queue" "x64:skbaddr u32:len text:name";
    Net "netif_receive_skb" "net_if_receive_skb" "x64:skbaddr u32:len text:name";
    Net "netif_rx" "net_if_rx" "x64:skbaddr u32:len text:name";
};

/// What our module (`kmod/`) has read of the VMCS just after the entry and after the exit.
const OF_MODULE: &[Tracepoint] = &[
    of_module(
        "virtflow_vcpu_enter",
        &[Class {
            name: "vcpu_enter_guest",
            fields: "u32:vcpu_id x64:cr3 x64:rip x64:vmcs12 i32:vm_pid u8:guest_mode x64:rsp x64:fs_base",
            parts: &[(0, 33), (36, 52)],
            when: When::Always,
        }],
    ),
    of_module(
        "virtflow_vcpu_exit",
        &[Class {
            name: "vcpu_exit_guest",
            fields: "u32:vcpu_id x64:cr3 x64:rsp x64:fs_base x64:rip u8:cpl u8:guest_mode",
            parts: &[(0, 38)],
            when: When::Always,
        }],
    ),
];

const MORE: &[Tracepoint] = tracepoints! {
    Kvm "kvm_pi_irte_update" "kvm_x86_pi_irte_update" "u32:host_irq u32:vcpu_id u32:gsi u32:gvec u32:set";
    Detail "cpu_idle" "power_cpu_idle" "u32:state u32:cpu_id";
    Detail Vcpu "kvm_page_fault" "kvm_x86_page_fault" "x64:fault_address x64:error_code";
    Detail Vcpu "kvm_halt_poll_ns" "kvm_halt_poll_ns" "u32:vcpu_id u32:new u32:old u32:grow";
    Detail Vcpu "kvm_async_pf_not_present" "kvm_async_pf_not_present" "x64:token x64:gva";
    Detail Vcpu "kvm_try_async_get_page" "kvm_try_async_get_page" "x64:gva x64:gfn";
    Detail "kvm_async_pf_ready" "kvm_async_pf_ready" "x64:token x64:gva";
    Detail "kvm_async_pf_completed" "kvm_async_pf_completed" "x64:address x64:gva";
    Detail Vcpu "kvm_avic_incomplete_ipi" "kvm_x86_avic_incomplete_ipi" "u32:vcpu x32:icrh x32:icrl u32:id u32:index";
    Detail "kvm_avic_ga_log" "kvm_x86_avic_ga_log" "u32:vmid u32:vcpuid";
    Detail "kvm_avic_doorbell" "kvm_x86_avic_doorbell" "u32:vcpuid u32:apicid";
    Detail Vcpu "kvm_avic_kick_vcpu_slowpath" "kvm_x86_avic_kick_vcpu_slowpath" "x32:icrh x32:icrl u32:index";
    Detail Vcpu "kvm_avic_unaccelerated_access" "kvm_x86_avic_unaccelerated_access" "u32:vcpu x32:offset u32:vec u32:ft u32:rw";
    Kvm Vcpu "kvm_fpu" "kvm_fpu" "u32:load";
    Sched "sched_migrate_task" "sched_migrate_task" "text:comm i32:tid i32:prio i32:orig_cpu i32:dest_cpu";
};

const fn kvm(name: &'static str, classes: &'static [Class]) -> Tracepoint {
    Tracepoint {
        name,
        classes,
        ..PLAIN
    }
}

const fn vcpu(name: &'static str, classes: &'static [Class]) -> Tracepoint {
    Tracepoint {
        of_vcpu: true,
        ..kvm(name, classes)
    }
}

const fn of_module(name: &'static str, classes: &'static [Class]) -> Tracepoint {
    Tracepoint {
        name,
        classes,
        of_module: true,
        of_vcpu: true,
        ..PLAIN
    }
}

/// All of them, in the order of their records' kinds.
pub(crate) fn tracepoints() -> impl Iterator<Item = &'static Tracepoint> {
    BEFORE_KVM
        .iter()
        .chain(ENTRY_AND_EXIT)
        .chain(OF_KVM)
        .chain(OF_NET)
        .chain(OF_MODULE)
        .chain(MORE)
}

/// The kind of a tracepoint's records.
pub(crate) fn kind_of(tracepoint: &str) -> u16 {
    let place = tracepoints().position(|point| point.name == tracepoint);
    place.map_or(u16::MAX, |place| place as u16)
}

/// The fields of a tracepoint's first event.
#[cfg(test)]
pub(crate) fn fields_of(tracepoint: &str) -> &'static str {
    let point = tracepoints().find(|point| point.name == tracepoint);
    point.map_or("", |point| point.classes[0].fields)
}

/// For the programs: a bit for each kind of records that only a vCPU's own thread makes, 64 in a word.
pub(crate) fn of_vcpus() -> [u64; 2] {
    let mut bits = [0; 2];
    let kinds = (0_usize..).zip(tracepoints());
    for (kind, _) in kinds.filter(|(_, tracepoint)| tracepoint.of_vcpu) {
        if let Some(word) = bits.get_mut(kind / 64) {
            *word |= 1 << (kind % 64);
        }
    }
    bits
}

/// An event that a record becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The number of its class.
    pub(crate) id: u32,
    pub(crate) parts: &'static [(usize, usize)],
    /// Where the record says how much is known, and what it must say.
    known: Option<(usize, u8)>,
}

impl Shape {
    /// An event that is a whole record.
    pub(crate) const fn whole(id: u32) -> Self {
        Self {
            id,
            parts: &[],
            known: None,
        }
    }

    /// Whether it is made of a record with these fields.
    pub(crate) fn is_of(&self, fields: &[u8]) -> bool {
        self.known
            .is_none_or(|(at, wanted)| fields.get(at) == Some(&wanted))
    }
}

/// What a record of each kind becomes.
pub(crate) type Shapes = Vec<Vec<Shape>>;

/// The event classes of a trace of such a machine, and what a record of each kind becomes.
pub(crate) fn classes(machine: Tells) -> (Vec<EventClass>, Shapes) {
    let mut classes = Vec::new();
    let shapes = tracepoints()
        .map(|tracepoint| {
            let of = tracepoint.classes.iter().filter_map(|class| {
                let known = class.when.on(machine)?;
                let id = classes.len() as u32;
                classes.push(EventClass::new(id, class.name, fields(class.fields)));
                Some(Shape {
                    id,
                    parts: class.parts,
                    known,
                })
            });
            of.collect()
        })
        .collect();
    (classes, shapes)
}

/// The kind of record that an event of the state dump is, of the first of its classes: they come
/// after the tracepoints.
pub(crate) fn dump_kind() -> u16 {
    u16::try_from(tracepoints().count()).unwrap_or(u16::MAX)
}

/// Fields as text.
pub(crate) fn fields(text: &str) -> Vec<Field> {
    text.split_whitespace().map(field).collect()
}

fn field(text: &str) -> Field {
    let (ty, name) = text.split_once(':').unwrap_or(("u32", text));
    let name = format!("_{name}");
    if ty == "text" {
        return Field::new(name, FieldType::Text(16));
    }
    if ty == "str" {
        return Field::new(name, FieldType::String);
    }
    let bits = ty.get(1..).and_then(|bits| bits.parse().ok()).unwrap_or(32);
    match ty.as_bytes().first() {
        Some(b'i') => Field::new(name, FieldType::Integer(IntegerType::signed(bits))),
        Some(b'x') => Field::hex(name, bits),
        _ => Field::unsigned(name, bits),
    }
}

/// How many bytes fields take; only of those of fixed size.
#[cfg(test)]
pub(crate) fn bytes(fields: &str) -> usize {
    let sizes = fields.split_whitespace().map(|field| {
        let (ty, _) = field.split_once(':').unwrap();
        if ty == "text" {
            16
        } else {
            ty[1..].parse::<usize>().unwrap() / 8
        }
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The programs' kinds are the tracepoints' places here.
    #[test]
    fn kinds_are_those_of_the_programs() {
        let source = include_str!("../bpf/record.bpf.c");
        for (kind, tracepoint) in tracepoints().enumerate() {
            let name = tracepoint.name;
            let written = format!("SEC(\"raw_tp/{name}\")\nint record_{kind}(");
            let made = format!("({name}, {kind}");
            let made = source.lines().any(|line| {
                line.split_once(&made)
                    .is_some_and(|(_, rest)| rest.starts_with([',', ')']))
            });
            assert!(made || source.contains(&written), "{kind} {name}");
        }
        let programs = source.matches("raw_tp/").count();
        assert!(programs > 20 && tracepoints().count() == 70);
    }

    /// What KVM may do for a VM elsewhere than in a vCPU's own thread: the devices' interrupts, what an
    /// ioctl of any thread does, what workers and interrupts of the IOMMU do.
    #[test]
    fn what_only_a_vcpus_own_thread_passes() {
        let elsewhere = [
            "kvm_set_irq",
            "kvm_msi_set_irq",
            "kvm_apic_accept_irq",
            "kvm_apicv_accept_irq",
            "kvm_write_tsc_offset",
            "kvm_pi_irte_update",
            "kvm_async_pf_ready",
            "kvm_async_pf_completed",
            "kvm_avic_ga_log",
            "kvm_avic_doorbell",
        ];
        let bits = of_vcpus();
        for (kind, tracepoint) in tracepoints().enumerate() {
            let name = tracepoint.name;
            let of_vm = name.starts_with("kvm_") || tracepoint.of_module;
            let is_own = of_vm && !elsewhere.contains(&name);
            assert_eq!(bits[kind / 64] >> (kind % 64) & 1 == 1, is_own, "{name}");
        }
        let words = format!("const volatile u64 of_vcpus[{}]", bits.len());
        assert!(include_str!("../bpf/record.h").contains(&words));
    }

    /// On either kind of processor an entry and an exit are told by KVM's own events, with fields
    /// that are known there.
    #[test]
    fn what_an_entry_and_an_exit_become() {
        let of = |vendor| Tells {
            vendor,
            module: false,
        };
        let names_of = |machine, name: &str, known: usize, much: u8| -> Vec<String> {
            let (classes, shapes) = classes(machine);
            let kind = tracepoints().position(|of| of.name == name).unwrap();
            let mut fields = vec![0; 68];
            fields[known] = much;
            let of = shapes[kind].iter().filter(|shape| shape.is_of(&fields));
            of.map(|shape| classes[shape.id as usize].name.clone())
                .collect()
        };
        let names = |vendor, name: &str, known, much| names_of(of(vendor), name, known, much);
        let entry = |vendor, much| names(vendor, "kvm_entry", 41, much);
        assert_eq!(
            entry(Vendor::Amd, KNOWN_ALL),
            ["kvm_x86_entry", "vcpu_enter_guest"]
        );
        assert_eq!(
            entry(Vendor::Intel, KNOWN_CR3),
            ["addons_vcpu_enter_guest", "kvm_x86_entry"]
        );
        assert_eq!(entry(Vendor::Intel, 0), ["kvm_x86_entry"]);
        let exit = |vendor, much| names(vendor, "kvm_exit", 66, much);
        assert_eq!(
            exit(Vendor::Amd, KNOWN_ALL),
            ["kvm_x86_exit", "vcpu_exit_guest"]
        );
        assert_eq!(exit(Vendor::Intel, 0), ["kvm_x86_exit"]);
        // Where our module is, it alone tells the registers.
        for vendor in [Vendor::Amd, Vendor::Intel] {
            let machine = Tells {
                vendor,
                module: true,
            };
            for much in [0, KNOWN_ALL, KNOWN_CR3] {
                let names = |name, known| names_of(machine, name, known, much);
                assert_eq!(names("kvm_entry", 41), ["kvm_x86_entry"]);
                assert_eq!(names("kvm_exit", 66), ["kvm_x86_exit"]);
                assert_eq!(names("virtflow_vcpu_enter", 41), ["vcpu_enter_guest"]);
                assert_eq!(names("virtflow_vcpu_exit", 41), ["vcpu_exit_guest"]);
            }
        }
        let (classes, _) = classes(of(Vendor::Intel));
        let exit = classes.iter().find(|class| class.name == "kvm_x86_exit");
        assert_eq!(exit.unwrap().fields.len(), 3);
    }

    #[test]
    fn parts_are_as_long_as_the_fields() {
        for class in tracepoints().flat_map(|t| t.classes) {
            if !class.parts.is_empty() {
                let parts: usize = class.parts.iter().map(|(from, to)| to - from).sum();
                assert_eq!(parts, bytes(class.fields), "{}", class.name);
            } else {
                // A record has no bytes that are not an event's but where its parts are told.
                assert_eq!(bytes(class.fields) % 4, 0, "{}", class.name);
            }
        }
    }
}
