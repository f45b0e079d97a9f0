//! Every event class: its name, its fields, and where the kernel declares them.
//!
//! Names and fields are those of LTTng-modules 2.13 on Linux 6.1 (instrumentation/events/*.h of
//! LTTng-modules, which follow the kernel's include/trace/events/{sched,irq,timer,block,net,kvm}.h
//! and arch/x86/kvm/trace.h, arch/x86/kvm/mmu/mmutrace.h, arch/x86/include/asm/trace/irq_vectors.h).
//! A field is written `type:name`; types are `i32` (signed), `u32` (unsigned), `x32` (unsigned,
//! hexadecimal), `text` (16 characters), `str`, `insn` (15 bytes),
//! `tids` (thread numbers), `value` (the sequence of KVM's MMIO) and `skb` (a parsed network header).

use virtflow_ctf::writer::{EventClass, Field, FieldType, IntegerType, Verbatim};

use crate::{Dialect, Injection, Probe};

macro_rules! events {
    ($($id:ident $name:literal $fields:literal)*) => {
        /// The classes, numbered as in the trace.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u32)]
        pub(crate) enum Ev { $(#[doc = $name] $id),* }

        pub(super) const CLASSES: &[(Ev, &str, &str)] = &[$((Ev::$id, $name, $fields)),*];
    };
}

events! {
    Switch "sched_switch" "text:prev_comm i32:prev_tid i32:prev_prio i64:prev_state text:next_comm i32:next_tid i32:next_prio"
    Waking "sched_waking" "text:comm i32:tid i32:prio i32:target_cpu"
    Wakeup "sched_wakeup" "text:comm i32:tid i32:prio i32:target_cpu"
    Migrate "sched_migrate_task" "text:comm i32:tid i32:prio i32:orig_cpu i32:dest_cpu"
    WakeupNew "sched_wakeup_new" "text:comm i32:tid i32:prio i32:target_cpu"
    Fork "sched_process_fork" "text:parent_comm i32:parent_tid i32:parent_pid u32:parent_ns_inum text:child_comm i32:child_tid tids:vtids i32:child_pid u32:child_ns_inum"
    IrqEntry "irq_handler_entry" "i32:irq str:name"
    IrqExit "irq_handler_exit" "i32:irq i32:ret"
    SoftirqRaise "irq_softirq_raise" "u32:vec"
    SoftirqEntry "irq_softirq_entry" "u32:vec"
    SoftirqExit "irq_softirq_exit" "u32:vec"
    LocalTimerEntry "x86_irq_vectors_local_timer_entry" "i32:vector"
    LocalTimerExit "x86_irq_vectors_local_timer_exit" "i32:vector"
    RescheduleEntry "x86_irq_vectors_reschedule_entry" "i32:vector"
    RescheduleExit "x86_irq_vectors_reschedule_exit" "i32:vector"
    CallSingleEntry "x86_irq_vectors_call_function_single_entry" "i32:vector"
    CallSingleExit "x86_irq_vectors_call_function_single_exit" "i32:vector"
    HrtimerStart "timer_hrtimer_start" "x64:hrtimer x64:function i64:expires i64:softexpires u32:mode"
    HrtimerCancel "timer_hrtimer_cancel" "x64:hrtimer"
    HrtimerEntry "timer_hrtimer_expire_entry" "x64:hrtimer i64:now x64:function"
    HrtimerExit "timer_hrtimer_expire_exit" "x64:hrtimer"
    BlockIssue "block_rq_issue" "u32:dev u64:sector u32:nr_sector u32:bytes i32:tid u32:rwbs text:comm"
    BlockComplete "block_rq_complete" "u32:dev u64:sector u32:nr_sector i32:error u32:rwbs"
    NetReceiveEntry "net_if_receive_skb_entry" "x64:skbaddr"
    NetReceive "net_if_receive_skb" "x64:skbaddr u32:len str:name skb:"
    NetReceiveExit "net_if_receive_skb_exit" "i32:ret"
    NetQueue "net_dev_queue" "x64:skbaddr u32:len str:name skb:"
    NetXmit "net_dev_xmit" "x64:skbaddr i32:rc u32:len str:name"
    KvmEntry "kvm_x86_entry" "u32:vcpu_id"
    KvmExit "kvm_x86_exit" "u32:exit_reason u64:guest_rip u32:isa u64:info1 u64:info2 u32:intr_info u32:error_code u32:vcpu_id"
    KvmInjVirq "kvm_x86_inj_virq" "u32:irq"
    KvmApic "kvm_x86_apic" "u32:rw u32:reg u32:val"
    KvmApicIpi "kvm_x86_apic_ipi" "u32:icr_low u32:dest_id"
    KvmAccept "kvm_x86_apic_accept_irq" "u32:apicid u16:dm u8:tm u8:vec u8:coalesced"
    KvmApicvAccept "kvm_apicv_accept_irq" "u32:apicid u16:dm u16:tm u8:vec"
    KvmEoi "kvm_x86_eoi" "u32:apicid i32:vector"
    KvmPvEoi "kvm_x86_pv_eoi" "u32:apicid i32:vector"
    KvmMsr "kvm_x86_msr" "u32:write u32:ecx u64:data u8:exception"
    KvmCr "kvm_x86_cr" "u32:rw u32:cr u64:val"
    KvmCpuid "kvm_x86_cpuid" "u32:function u64:rax u64:rbx u64:rcx u64:rdx"
    KvmPageFault "kvm_x86_page_fault" "x64:fault_address u32:error_code"
    KvmSetIrq "kvm_set_irq" "u32:gsi i32:level i32:irq_source_id"
    KvmMsiSetIrq "kvm_msi_set_irq" "x64:address u64:data"
    KvmMmio "kvm_mmio" "u32:type u32:len u64:gpa value:val"
    KvmMatchMmio "kvm_x86_vcpu_match_mmio" "u64:gva u64:gpa u8:write u8:gpa_match"
    KvmFpu "kvm_fpu" "u32:load"
    KvmUserspaceExit "kvm_userspace_exit" "u32:reason i32:errno"
    NestedVmrun "kvm_x86_nested_vmrun" "u64:rip u64:vmcb u64:nested_rip u32:int_ctl u32:event_inj u8:npt"
    NestedIntercepts "kvm_x86_nested_intercepts" "u16:cr_read u16:cr_write u32:exceptions u64:intercept"
    NestedVmexit "kvm_x86_nested_vmexit" "u64:rip u32:exit_code u64:exit_info1 u64:exit_info2 u32:exit_int_info u32:exit_int_info_err u32:isa"
    NestedInject "kvm_x86_nested_vmexit_inject" "u32:exit_code u64:exit_info1 u64:exit_info2 u32:exit_int_info u32:exit_int_info_err u32:isa"
    NestedIntr "kvm_x86_nested_intr_vmexit" "u64:rip"
    EmulateInsn "kvm_x86_emulate_insn" "u64:rip u32:csbase u8:len insn:insn u8:flags u8:failed"
    PagetableWalk "kvm_mmu_pagetable_walk" "x64:addr u32:pferr"
    PagingElement "kvm_mmu_paging_element" "u64:pte u32:level"
    VcpuEnter "vcpu_enter_guest" "u32:vcpu_id x64:cr3 x64:rip u8:guest_mode x64:l1_cr3 x64:vmcb12 i32:vm_pid"
    VcpuExit "vcpu_exit_guest" "u32:vcpu_id x64:cr3 u8:cpl u8:guest_mode"
    VcpuEnterStack "vcpu_enter_guest" "u32:vcpu_id x64:cr3 x64:rip u8:guest_mode x64:l1_cr3 x64:vmcb12 i32:vm_pid x64:rsp x64:fs_base"
    VcpuExitStack "vcpu_exit_guest" "u32:vcpu_id x64:cr3 u8:cpl u8:guest_mode x64:rsp x64:fs_base"
    AddonsEnter "addons_vcpu_enter_guest" "u32:vcpuID u64:cr3tmp u64:sptmp u64:iptmp"
    DumpStart "lttng_statedump_start" ""
    DumpEnd "lttng_statedump_end" ""
    DumpProcess "lttng_statedump_process_state" "i32:tid i32:pid i32:ppid text:name i32:type i32:mode i32:submode i32:status u32:cpu x64:file_table_address"
    DumpPidNs "lttng_statedump_process_pid_ns" "i32:tid i32:vtid i32:vpid i32:vppid i32:ns_level u32:ns_inum"
    DumpUserNs "lttng_statedump_process_user_ns" "i32:tid u32:vuid u32:vgid i32:ns_level u32:ns_inum"
    DumpCgroupNs "lttng_statedump_process_cgroup_ns" "i32:tid u32:ns_inum"
    DumpIpcNs "lttng_statedump_process_ipc_ns" "i32:tid u32:ns_inum"
    DumpMntNs "lttng_statedump_process_mnt_ns" "i32:tid u32:ns_inum"
    DumpNetNs "lttng_statedump_process_net_ns" "i32:tid u32:ns_inum"
    DumpUtsNs "lttng_statedump_process_uts_ns" "i32:tid u32:ns_inum"
    DumpTimeNs "lttng_statedump_process_time_ns" "i32:tid u32:ns_inum"
    DumpInterrupt "lttng_statedump_interrupt" "u32:irq str:name str:action i32:tid"
    DumpNetwork "lttng_statedump_network_interface" "str:name x32:address_ipv4"
    DumpBlock "lttng_statedump_block_device" "u32:dev str:diskname"
    DumpCpu "lttng_statedump_cpu_topology" "str:architecture u16:cpu_id str:vendor u8:family u8:model str:model_name u16:physical_id u16:core_id u16:cores"
    KvmHypercall "kvm_x86_hypercall" "u64:nr u64:a0 u64:a1 u64:a2 u64:a3"
    KvmTscOffset "kvm_x86_write_tsc_offset" "u32:vcpu_id u64:previous_tsc_offset u64:next_tsc_offset"
}

impl Ev {
    /// How many classes there are.
    pub(crate) const COUNT: usize = CLASSES.len();

    /// Whether a trace in this dialect declares and records it.
    pub(crate) fn recorded(self, dialect: &Dialect) -> bool {
        match self {
            Self::Waking => dialect.waking,
            // The kernel renamed the tracepoint, so the stock probe never fires.
            Self::NestedVmrun => dialect.nested_events && !dialect.stock,
            Self::NestedIntercepts | Self::NestedVmexit | Self::NestedInject | Self::NestedIntr => {
                dialect.nested_events
            }
            Self::EmulateInsn | Self::PagetableWalk | Self::PagingElement => dialect.noise,
            Self::VcpuEnter | Self::VcpuExit => dialect.probe == Probe::TestBed && !dialect.stacks,
            Self::VcpuEnterStack | Self::VcpuExitStack => {
                dialect.probe == Probe::TestBed && dialect.stacks
            }
            Self::AddonsEnter => dialect.probe == Probe::Original,
            Self::KvmInjVirq => dialect.injection == Injection::Injected,
            Self::KvmApicvAccept => dialect.injection == Injection::Posted,
            Self::KvmCr => dialect.shadow,
            _ => true,
        }
    }
}

/// What a trace in this dialect declares: class, name, fields.
pub(crate) fn shapes(
    dialect: &Dialect,
) -> impl Iterator<Item = (Ev, &'static str, &'static str)> + '_ {
    let all = CLASSES.iter().copied();
    all.filter(|(ev, ..)| ev.recorded(dialect))
}

/// The classes a trace in this dialect declares.
pub(crate) fn classes(dialect: &Dialect) -> Vec<EventClass> {
    CLASSES
        .iter()
        .filter(|(ev, ..)| ev.recorded(dialect))
        .map(|&(ev, name, fields)| {
            let fields = parse(fields, dialect.tcp);
            EventClass::new(ev as u32, rename(name, dialect), fields)
        })
        .collect()
}

/// LTTng-modules renamed the x86 KVM events in 2016 (commit b36bb1a8). It has no probe for
/// `kvm_apicv_accept_irq`, which therefore has the kernel's name.
fn rename(name: &str, dialect: &Dialect) -> String {
    match name.strip_prefix("kvm_x86_") {
        Some(rest) if dialect.old_names => format!("kvm_{rest}"),
        _ => name.to_owned(),
    }
}

fn parse(fields: &str, tcp: bool) -> Vec<Field> {
    let fields = fields.split_whitespace();
    fields.flat_map(|text| field(text, tcp)).collect()
}

fn field(text: &str, tcp: bool) -> Vec<Field> {
    let (ty, name) = text.split_once(':').unwrap_or((text, ""));
    let name = format!("_{name}");
    let one = |ty| vec![Field::new(name.clone(), ty)];
    match ty {
        "text" => one(FieldType::Text(16)),
        "str" => one(FieldType::String),
        "insn" => {
            let byte = FieldType::Integer(IntegerType::unsigned(8));
            one(FieldType::Array(Box::new(byte), 15))
        }
        "tids" => {
            let length = format!("_{name}_length");
            let element = Box::new(FieldType::Integer(IntegerType::signed(32)));
            let sequence = FieldType::Sequence {
                length: length.clone(),
                element,
            };
            vec![Field::unsigned(length, 8), Field::new(name, sequence)]
        }
        "value" => {
            let length = format!("_{name}_length");
            let hex = IntegerType {
                base: 16,
                ..IntegerType::unsigned(8)
            };
            let element = Box::new(FieldType::Integer(hex));
            let sequence = FieldType::Sequence {
                length: length.clone(),
                element,
            };
            vec![Field::unsigned(length, 32), Field::new(name, sequence)]
        }
        "skb" => {
            let transport = if tcp { TCP } else { NO_TCP };
            let text = SKB.replace("TRANSPORT", transport);
            let both = Verbatim {
                tsdl: text,
                ctf2: Some(skb(tcp)),
            };
            vec![Field::new("", FieldType::Verbatim(both))]
        }
        ty => {
            let bits = ty[1..].parse().unwrap_or(32);
            let base = if ty.starts_with('x') { 16 } else { 10 };
            let signed = ty.starts_with('i');
            one(FieldType::Integer(IntegerType { bits, signed, base }))
        }
    }
}

/// The network header, in the shape of LTTng-modules' instrumentation/events/net.h. Headers are
/// big-endian whatever the host.
const SKB: &str = r#"enum : integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; } { "_unknown" = 0, "_ipv4" = 1, } _network_header_type;
        variant <_network_header_type> {
            struct {
            } _unknown;
            struct {
                integer { size = 4; align = 4; signed = 0; encoding = none; base = 10; byte_order = be; } _version;
                integer { size = 4; align = 4; signed = 0; encoding = none; base = 10; byte_order = be; } _ihl;
                integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _tos;
                integer { size = 16; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _tot_len;
                integer { size = 16; align = 8; signed = 0; encoding = none; base = 16; byte_order = be; } _id;
                integer { size = 16; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _frag_off;
                integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _ttl;
                enum : integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } { "_unknown" = 0, "_icmp" = 1, "_unknown" = 2 ... 5, "_tcp" = 6, "_unknown" = 7 ... 16, "_udp" = 17, "_unknown" = 18 ... 255, } _protocol;
                integer { size = 16; align = 8; signed = 0; encoding = none; base = 16; byte_order = be; } _checksum;
                struct { } align(8) _saddr_padding;
                integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _saddr[4];
                struct { } align(8) _daddr_padding;
                integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _daddr[4];
TRANSPORT            } _ipv4;
        } _network_header;"#;

/// Of transport headers only the unknown one is ever written.
const NO_TCP: &str = r#"                enum : integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; } { "_unknown" = 0, } _transport_header_type;
                variant <_transport_header_type> {
                    struct {
                    } _unknown;
                } _transport_header;
"#;

/// Transport headers as LTTng-modules tells them since 2.9; UDP's and ICMP's are never written.
const TCP: &str = r#"                enum : integer { size = 8; align = 8; signed = 0; encoding = none; base = 10; } { "_unknown" = 0, "_tcp" = 1, } _transport_header_type;
                variant <_transport_header_type> {
                    struct {
                    } _unknown;
                    struct {
                        integer { size = 16; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _source_port;
                        integer { size = 16; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _dest_port;
                        integer { size = 32; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _seq;
                        integer { size = 32; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _ack_seq;
                        integer { size = 4; align = 4; signed = 0; encoding = none; base = 10; byte_order = be; } _data_offset;
                        integer { size = 3; align = 1; signed = 0; encoding = none; base = 10; byte_order = be; } _reserved;
                        integer { size = 9; align = 1; signed = 0; encoding = none; base = 16; byte_order = be; } _flags;
                        integer { size = 16; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _window_size;
                        integer { size = 16; align = 8; signed = 0; encoding = none; base = 16; byte_order = be; } _checksum;
                        integer { size = 16; align = 8; signed = 0; encoding = none; base = 10; byte_order = be; } _urg_ptr;
                    } _tcp;
                } _transport_header;
"#;

/// [`SKB`] in the words of CTF 2.
fn skb(tcp: bool) -> String {
    let transport = if tcp {
        let tcp = [
            number("source_port", 16, 8, 10),
            number("dest_port", 16, 8, 10),
            number("seq", 32, 8, 10),
            number("ack_seq", 32, 8, 10),
            number("data_offset", 4, 4, 10),
            number("reserved", 3, 1, 10),
            number("flags", 9, 1, 16),
            number("window_size", 16, 8, 10),
            number("checksum", 16, 8, 16),
            number("urg_ptr", 16, 8, 10),
        ];
        chosen(
            "transport_header",
            &[("unknown", String::new()), ("tcp", tcp.join(","))],
        )
    } else {
        chosen("transport_header", &[("unknown", String::new())])
    };
    let protocol = r#""mappings":{"unknown":[[0,0],[2,5],[7,16],[18,255]],"icmp":[[1,1]],"tcp":[[6,6]],"udp":[[17,17]]}"#;
    let protocol =
        number("protocol", 8, 8, 10).replace("\"length\"", &format!("{protocol},\"length\""));
    let ipv4 = [
        number("version", 4, 4, 10),
        number("ihl", 4, 4, 10),
        number("tos", 8, 8, 10),
        number("tot_len", 16, 8, 10),
        number("id", 16, 8, 16),
        number("frag_off", 16, 8, 10),
        number("ttl", 8, 8, 10),
        protocol,
        number("checksum", 16, 8, 16),
        address("saddr"),
        address("daddr"),
        transport,
    ];
    chosen(
        "network_header",
        &[("unknown", String::new()), ("ipv4", ipv4.join(","))],
    )
}

/// A member that is a big-endian unsigned integer.
fn number(name: &str, length: u32, alignment: u32, base: u32) -> String {
    format!(
        r#"{{"name":"{name}","field-class":{{"type":"fixed-length-unsigned-integer","length":{length},"byte-order":"big-endian","alignment":{alignment},"preferred-display-base":{base}}}}}"#
    )
}

/// The members of an IPv4 address, which LTTng aligns first.
fn address(name: &str) -> String {
    let padding = r#"{"type":"structure","minimum-alignment":8}"#;
    let byte = r#"{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"big-endian","alignment":8}"#;
    format!(
        r#"{{"name":"{name}_padding","field-class":{padding}}},{{"name":"{name}","field-class":{{"type":"static-length-array","length":4,"element-field-class":{byte}}}}}"#
    )
}

/// The members of a variant of structures, options chosen by the numbers from 0 on, and of the
/// selector before it.
fn chosen(name: &str, options: &[(&str, String)]) -> String {
    let all: Vec<(usize, &(&str, String))> = options.iter().enumerate().collect();
    let mappings: Vec<String> = all
        .iter()
        .map(|(n, (option, _))| format!(r#""{option}":[[{n},{n}]]"#))
        .collect();
    let options: Vec<String> = all
        .iter()
        .map(|(n, (option, members))| {
            format!(
                r#"{{"name":"{option}","selector-field-ranges":[[{n},{n}]],"field-class":{{"type":"structure","member-classes":[{members}]}}}}"#
            )
        })
        .collect();
    let (mappings, options) = (mappings.join(","), options.join(","));
    format!(
        r#"{{"name":"{name}_type","field-class":{{"type":"fixed-length-unsigned-integer","length":8,"byte-order":"little-endian","alignment":8,"mappings":{{{mappings}}}}}}},
        {{"name":"{name}","field-class":{{"type":"variant","selector-field-location":{{"path":["{name}_type"]}},"options":[{options}]}}}}"#
    )
}
