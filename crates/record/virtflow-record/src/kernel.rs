//! Where the fields that the programs read are in this kernel: from its type information (BTF), so
//! that no kernel version is ever asked for.

use crate::btf::{Btf, Type};
use crate::events::{Tells, Vendor};
use crate::{RecordError, block};
use std::path::Path;

/// Where the kernel keeps it.
const BTF: &str = "/sys/kernel/btf";
/// Where it says that our own module (`kmod/`) is loaded.
const MODULE: &str = "/sys/module/virtflow_vmx";
/// No such field in this kernel: the programs know it by this.
pub(crate) const NONE: u32 = u32::MAX;
/// How deep unnamed structures are looked into.
const DEPTH_MAX: usize = 8;

/// The types of the kernel, and those of KVM where it is in modules.
pub(crate) struct Types {
    /// Each with those of the kernel.
    all: Vec<Btf>,
    machine: Tells,
}

/// Whose virtualization this machine's processors have: by their flags in /proc/cpuinfo.
fn vendor() -> Vendor {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = text.lines().find(|line| line.starts_with("flags"));
    let has = |flag| flags.is_some_and(|flags| flags.split_whitespace().any(|word| word == flag));
    if has("svm") {
        Vendor::Amd
    } else if has("vmx") {
        Vendor::Intel
    } else {
        Vendor::Other
    }
}

impl Types {
    /// Of the kernel that runs.
    pub(crate) fn of_this_kernel() -> Result<Self, RecordError> {
        let path = Path::new(BTF).join("vmlinux");
        let read = |path: &Path| std::fs::read(path).map_err(|e| e.to_string());
        let base = read(&path).and_then(|data| Btf::parse(&data).map_err(str::to_owned));
        let base = base.map_err(|why| RecordError::Btf(path, why))?;
        let modules = ["kvm", "kvm_amd", "kvm_intel"];
        let modules = modules.into_iter().filter_map(|name| {
            let data = read(&Path::new(BTF).join(name)).ok()?;
            base.with(&data).ok()
        });
        let mut all: Vec<Btf> = modules.collect();
        all.push(base);
        let machine = Tells {
            vendor: vendor(),
            module: Path::new(MODULE).exists(),
        };
        Ok(Self { all, machine })
    }

    /// The offset in bytes of `path` (`pid`, `arch.cr3`) in a structure.
    fn offset(&self, of: &str, path: &str) -> Option<u32> {
        let mut all = self.all.iter();
        all.find_map(|btf| btf.named(of).find_map(|ty| along(btf, ty, path)))
    }

    /// The value of an enumeration's member.
    fn number(&self, of: &str) -> Option<u32> {
        self.all.iter().find_map(|btf| btf.number(of))
    }

    /// Who can tell what a guest's registers are.
    pub(crate) const fn machine(&self) -> Tells {
        self.machine
    }

    /// What each status of the block layer becomes.
    pub(crate) fn errnos(&self) -> [i32; 256] {
        block::errnos(self.number(block::MOVED).is_some())
    }

    /// The size of a structure.
    fn size(&self, of: &str) -> Option<u32> {
        let mut all = self.all.iter().flat_map(|btf| btf.named(of));
        all.find_map(|ty| match ty {
            Type::Struct(bytes, _) if *bytes > 0 => Some(*bytes),
            _ => None,
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
        self.all.iter().find_map(|btf| {
            btf.named(&name).find_map(|ty| {
                let Type::Alias(pointer) = ty else {
                    return None;
                };
                let Type::Pointer(function) = btf.get(*pointer)? else {
                    return None;
                };
                let Type::Function(arguments) = btf.get(*function)? else {
                    return None;
                };
                // The first one is the probe's own.
                let arguments = arguments.iter().skip(1);
                Some(arguments.map(|ty| named(btf, *ty)).collect())
            })
        })
    }

    /// Whether the kernel has a tracepoint.
    pub(crate) fn has(&self, tracepoint: &str) -> bool {
        self.arguments(tracepoint).is_some()
    }

    /// The constants of the programs that are of use on these processors.
    pub(crate) fn constants(&self) -> Vec<(&'static str, u32)> {
        let mut all = self.of_all();
        // A kernel may have both in it.
        all.extend(match self.machine.vendor {
            Vendor::Amd => self.of_amd(),
            Vendor::Intel => self.of_intel(),
            Vendor::Other => Vec::new(),
        });
        all
    }

    fn of_all(&self) -> Vec<(&'static str, u32)> {
        let field = |name, of, path| (name, self.offset(of, path).unwrap_or(NONE));
        let argument = |name, tracepoint, of| (name, self.argument(tracepoint, of).unwrap_or(NONE));
        let state = self.offset("task_struct", "__state");
        let state = state.or_else(|| self.offset("task_struct", "state"));
        let cpu = self.offset("task_struct", "thread_info.cpu");
        let cpu = cpu.or_else(|| self.offset("task_struct", "cpu"));
        let switch = self.arguments("sched_switch").unwrap_or_default();
        let switch_state = switch.iter().rposition(|ty| ty == "unsigned int");
        vec![
            field("task_pid", "task_struct", "pid"),
            field("task_tgid", "task_struct", "tgid"),
            field("task_comm", "task_struct", "comm"),
            field("task_prio", "task_struct", "prio"),
            ("task_cpu", cpu.unwrap_or(NONE)),
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
            argument("switch_prev", "sched_switch", "task_struct"),
            ("switch_state", switch_state.map_or(NONE, |at| at as u32)),
            argument("entry_vcpu", "kvm_entry", "kvm_vcpu"),
            argument("exit_vcpu", "kvm_exit", "kvm_vcpu"),
            argument("issue_request", "block_rq_issue", "request"),
            argument("complete_status", "block_rq_complete", "blk_status_t"),
            argument("fault_vcpu", "kvm_page_fault", "kvm_vcpu"),
            argument("irte_vcpu", "kvm_pi_irte_update", "kvm_vcpu"),
            argument("irte_set", "kvm_pi_irte_update", "bool"),
        ]
    }

    /// Of SVM (arch/x86/kvm/svm/svm.h, arch/x86/include/asm/svm.h).
    fn of_amd(&self) -> Vec<(&'static str, u32)> {
        let field = |name, of, path| (name, self.offset(of, path).unwrap_or(NONE));
        vec![
            field("svm_vmcb", "vcpu_svm", "vmcb"),
            field("svm_vmcb01", "vcpu_svm", "vmcb01.ptr"),
            field("svm_vmcb12", "vcpu_svm", "nested.vmcb12_gpa"),
            field("vmcb_cr3", "vmcb", "save.cr3"),
            field("vmcb_nested_ctl", "vmcb", "control.nested_ctl"),
            field("vcpu_hflags", "kvm_vcpu", "arch.hflags"),
            field("vcpu_cr3", "kvm_vcpu", "arch.cr3"),
            field("vcpu_regs", "kvm_vcpu", "arch.regs"),
            ("rsp_at", self.number("VCPU_REGS_RSP").unwrap_or(NONE)),
            ("rip_at", self.number("VCPU_REGS_RIP").unwrap_or(NONE)),
            field("vmcb_rip", "vmcb", "save.rip"),
            field("vmcb_rsp", "vmcb", "save.rsp"),
            field("vmcb_fs_base", "vmcb", "save.fs.base"),
            field("vmcb_cpl", "vmcb", "save.cpl"),
            field("vmcb_exit_code", "vmcb", "control.exit_code"),
            field("vmcb_info1", "vmcb", "control.exit_info_1"),
            field("vmcb_info2", "vmcb", "control.exit_info_2"),
            field("vmcb_int_info", "vmcb", "control.exit_int_info"),
        ]
    }

    /// Of VMX (arch/x86/kvm/vmx/vmx.h, from Linux 6.15 arch/x86/kvm/vmx/common.h), and what KVM keeps
    /// of the guest's registers (arch/x86/kvm/kvm_cache_regs.h).
    fn of_intel(&self) -> Vec<(&'static str, u32)> {
        let first = |paths: &[&str]| {
            let mut paths = paths.iter();
            let at = paths.find_map(|path| self.offset("vcpu_vmx", path));
            at.unwrap_or(NONE)
        };
        let reasons = ["exit_reason.full", "vt.exit_reason.full", "exit_reason"];
        let field = |name, of, path| (name, self.offset(of, path).unwrap_or(NONE));
        vec![
            ("vmx_exit_reason", first(&reasons)),
            field("vmx_loaded", "vcpu_vmx", "loaded_vmcs"),
            field("vmx_own", "vcpu_vmx", "vmcs01"),
            field("vmx_vmcs12", "vcpu_vmx", "nested.current_vmptr"),
            field("vcpu_kept", "kvm_vcpu", "arch.regs_avail"),
            field("vcpu_cr3", "kvm_vcpu", "arch.cr3"),
            ("cr3_bit", self.number("VCPU_EXREG_CR3").unwrap_or(NONE)),
        ]
    }
}

/// What a type is called, without what only points to it or qualifies it.
fn named(btf: &Btf, mut ty: u32) -> String {
    for _ in 0..DEPTH_MAX {
        if !btf.name(ty).is_empty() {
            break;
        }
        match btf.get(ty) {
            Some(Type::Pointer(next) | Type::Alias(next)) => ty = *next,
            _ => break,
        }
    }
    String::from_utf8_lossy(btf.name(ty)).into_owned()
}

/// The offset of `path` in a type.
fn along(btf: &Btf, ty: &Type, path: &str) -> Option<u32> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(a, b)| (a, Some(b)));
    let (bits, member) = member(btf, ty, first.as_bytes(), DEPTH_MAX)?;
    match rest {
        None => Some(bits / 8),
        Some(rest) => Some(bits / 8 + along(btf, member, rest)?),
    }
}

/// A member of a structure or union, or of unnamed ones in it: its offset in bits, and its type.
fn member<'a>(btf: &'a Btf, ty: &'a Type, name: &[u8], depth: usize) -> Option<(u32, &'a Type)> {
    let Type::Struct(_, members) = ty else {
        return None;
    };
    let depth = depth.checked_sub(1)?;
    members.iter().find_map(|of| {
        let inner = bare(btf, of.ty)?;
        let own = btf.member_name(of);
        if own == name {
            return Some((of.bits, inner));
        }
        let (bits, found) = member(btf, inner, name, depth).filter(|_| own.is_empty())?;
        Some((of.bits + bits, found))
    })
}

/// A type without its other names.
fn bare(btf: &Btf, number: u32) -> Option<&Type> {
    let mut ty = btf.get(number)?;
    for _ in 0..DEPTH_MAX {
        match ty {
            Type::Alias(next) => ty = btf.get(*next)?,
            _ => break,
        }
    }
    Some(ty)
}
