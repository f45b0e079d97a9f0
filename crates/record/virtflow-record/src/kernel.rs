//! Where the fields that the programs read are in this kernel: from its type information (BTF), so
//! that no kernel version is ever asked for.

use crate::RecordError;
use btf_rs::{Btf, BtfType, Type};
use std::path::Path;

/// Where the kernel keeps it.
const BTF: &str = "/sys/kernel/btf";
/// No such field in this kernel: the programs know it by this.
pub(crate) const NONE: u32 = u32::MAX;
/// How deep unnamed structures are looked into.
const DEPTH_MAX: usize = 8;

/// The types of the kernel, and those of KVM where it is in modules.
pub(crate) struct Types {
    base: Btf,
    modules: Vec<Btf>,
}

impl Types {
    /// Of the kernel that runs.
    pub(crate) fn of_this_kernel() -> Result<Self, RecordError> {
        let path = Path::new(BTF).join("vmlinux");
        let base = Btf::from_file(&path).map_err(|e| RecordError::Btf(path, e.to_string()))?;
        let modules = ["kvm", "kvm_amd", "kvm_intel"]
            .into_iter()
            .filter_map(|name| {
                let path = Path::new(BTF).join(name);
                Btf::from_split_file(path, &base).ok()
            });
        let modules = modules.collect();
        Ok(Self { base, modules })
    }

    fn all(&self) -> impl Iterator<Item = &Btf> {
        self.modules.iter().chain([&self.base])
    }

    /// The offset in bytes of `path` (`pid`, `arch.cr3`) in a structure.
    fn offset(&self, of: &str, path: &str) -> Option<u32> {
        self.all().find_map(|btf| {
            let types = btf.resolve_types_by_name(of).ok()?;
            types.iter().find_map(|ty| along(btf, ty, path))
        })
    }

    /// The size of a structure.
    fn size(&self, of: &str) -> Option<u32> {
        self.all().find_map(|btf| {
            let types = btf.resolve_types_by_name(of).ok()?;
            types.into_iter().find_map(|ty| match ty {
                Type::Struct(of) if of.size() > 0 => u32::try_from(of.size()).ok(),
                _ => None,
            })
        })
    }

    /// Which argument of a tracepoint points to a structure, from 0: the first one of that type.
    fn argument(&self, tracepoint: &str, of: &str) -> Option<u32> {
        let mut all = self.arguments(tracepoint)?.into_iter();
        let at = all.position(|ty| ty == of)?;
        u32::try_from(at).ok()
    }

    /// The types of a tracepoint's arguments, by name.
    fn arguments(&self, tracepoint: &str) -> Option<Vec<String>> {
        let name = format!("btf_trace_{tracepoint}");
        self.all().find_map(|btf| {
            let types = btf.resolve_types_by_name(&name).ok()?;
            let typedef = types.iter().find(|ty| matches!(ty, Type::Typedef(_)))?;
            let pointer = btf.resolve_chained_type(typedef.as_btf_type()?).ok()?;
            let Type::FuncProto(function) =
                btf.resolve_chained_type(pointer.as_btf_type()?).ok()?
            else {
                return None;
            };
            // The first one is the probe's own.
            let parameters = function.parameters.iter().skip(1);
            Some(parameters.map(|parameter| named(btf, parameter)).collect())
        })
    }

    /// Whether the kernel has a tracepoint.
    pub(crate) fn has(&self, tracepoint: &str) -> bool {
        self.arguments(tracepoint).is_some()
    }

    /// The constants of the programs.
    pub(crate) fn constants(&self) -> Vec<(&'static str, u32)> {
        let field = |name, of, path| (name, self.offset(of, path).unwrap_or(NONE));
        let argument = |name, tracepoint, of| (name, self.argument(tracepoint, of).unwrap_or(NONE));
        let state = self.offset("task_struct", "__state");
        let state = state.or_else(|| self.offset("task_struct", "state"));
        let switch = self.arguments("sched_switch").unwrap_or_default();
        let switch_state = switch.iter().rposition(|ty| ty == "unsigned int");
        let svm = self.offset("vcpu_svm", "vmcb").is_some();
        let save = |name, path: &str| {
            (
                name,
                self.offset("vmcb", path).filter(|_| svm).unwrap_or(NONE),
            )
        };
        vec![
            field("task_pid", "task_struct", "pid"),
            field("task_tgid", "task_struct", "tgid"),
            field("task_comm", "task_struct", "comm"),
            field("task_prio", "task_struct", "prio"),
            ("task_state", state.unwrap_or(NONE)),
            field("task_exit_state", "task_struct", "exit_state"),
            field("task_thread_pid", "task_struct", "thread_pid"),
            field("pid_level", "pid", "level"),
            field("pid_numbers", "pid", "numbers"),
            field("upid_ns", "upid", "ns"),
            ("upid_size", self.size("upid").unwrap_or(NONE)),
            field("ns_inum", "pid_namespace", "ns.inum"),
            field("hrtimer_function", "hrtimer", "function"),
            field("request_sector", "request", "__sector"),
            field("request_bytes", "request", "__data_len"),
            field("request_disk", "request", "rq_disk"),
            field("request_queue", "request", "q"),
            field("request_flags", "request", "cmd_flags"),
            field("request_part", "request", "part"),
            field("part_dev", "block_device", "bd_dev"),
            field("queue_disk", "request_queue", "disk"),
            field("disk_major", "gendisk", "major"),
            field("disk_first_minor", "gendisk", "first_minor"),
            field("irqaction_name", "irqaction", "name"),
            field("skb_len", "sk_buff", "len"),
            field("skb_dev", "sk_buff", "dev"),
            field("net_device_name", "net_device", "name"),
            field("vcpu_id", "kvm_vcpu", "vcpu_id"),
            field("vcpu_kvm", "kvm_vcpu", "kvm"),
            field("kvm_userspace_pid", "kvm", "userspace_pid"),
            field("lapic_vcpu", "kvm_lapic", "vcpu"),
            field("svm_vmcb", "vcpu_svm", "vmcb"),
            field("svm_vmcb01", "vcpu_svm", "vmcb01.ptr"),
            field("svm_vmcb12", "vcpu_svm", "nested.vmcb12_gpa"),
            save("vmcb_cr3", "save.cr3"),
            save("vmcb_rip", "save.rip"),
            save("vmcb_rsp", "save.rsp"),
            save("vmcb_fs_base", "save.fs.base"),
            save("vmcb_cpl", "save.cpl"),
            save("vmcb_exit_code", "control.exit_code"),
            save("vmcb_info1", "control.exit_info_1"),
            save("vmcb_info2", "control.exit_info_2"),
            save("vmcb_int_info", "control.exit_int_info"),
            argument("switch_prev", "sched_switch", "task_struct"),
            ("switch_state", switch_state.map_or(NONE, |at| at as u32)),
            argument("entry_vcpu", "kvm_entry", "kvm_vcpu"),
            argument("exit_vcpu", "kvm_exit", "kvm_vcpu"),
            argument("issue_request", "block_rq_issue", "request"),
        ]
    }
}

/// The type of something, without what only points to it or qualifies it.
fn named(btf: &Btf, of: &dyn BtfType) -> String {
    let mut name = String::new();
    let Ok(mut ty) = btf.resolve_chained_type(of) else {
        return name;
    };
    for _ in 0..DEPTH_MAX {
        let Some(own) = ty.as_btf_type() else { break };
        name = btf.resolve_name(own).unwrap_or_default();
        if !matches!(ty, Type::Ptr(_) | Type::Const(_) | Type::Volatile(_)) {
            break;
        }
        match btf.resolve_chained_type(own) {
            Ok(next) => ty = next,
            Err(_) => break,
        }
    }
    name
}

/// The offset of `path` in a type.
fn along(btf: &Btf, ty: &Type, path: &str) -> Option<u32> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let (bits, member) = member(btf, ty, first, DEPTH_MAX)?;
    let at = bits / 8;
    match rest {
        None => Some(at),
        Some(rest) => Some(at + along(btf, &member, rest)?),
    }
}

/// A member of a structure or union, or of unnamed ones in it: its offset in bits, and its type.
fn member(btf: &Btf, ty: &Type, name: &str, depth: usize) -> Option<(u32, Type)> {
    let (Type::Struct(of) | Type::Union(of)) = ty else {
        return None;
    };
    let depth = depth.checked_sub(1)?;
    of.members.iter().find_map(|member_of| {
        let own = btf.resolve_name(member_of).unwrap_or_default();
        let mut inner = btf.resolve_chained_type(member_of).ok()?;
        for _ in 0..DEPTH_MAX {
            match &inner {
                Type::Typedef(_) | Type::Const(_) | Type::Volatile(_) => {
                    inner = btf.resolve_chained_type(inner.as_btf_type()?).ok()?;
                }
                _ => break,
            }
        }
        if own == name {
            return Some((member_of.bit_offset(), inner));
        }
        if own.is_empty() {
            let (bits, found) = member(btf, &inner, name, depth)?;
            return Some((member_of.bit_offset() + bits, found));
        }
        None
    })
}
