//! What a recorder's state dump tells of VMs beside their events: what their VMMs were told, their
//! disks and network devices, their vCPUs' threads, affinity and time stamp counters.

use crate::pipeline::threads;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use virtflow_base::text;
use virtflow_events::{AnyEvent, Recording, Scope, Value};

/// How many VMs are told.
const VMS_MAX: usize = 4_096;
/// How many of anything are told of one VM.
const PARTS_MAX: usize = 4_096;
/// How many threads' affinity is noted.
const THREADS_MAX: usize = 1 << 17;

/// A VM as a state dump tells of it. What was not told is absent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VmInfo {
    /// The process that runs it.
    pub pid: i32,
    /// Its name.
    pub name: Option<String>,
    /// The program that runs it.
    pub vmm: Option<String>,
    /// Whether KVM or an open file says that this process runs a VM, and not only its program's
    /// name.
    pub proved: bool,
    /// How many vCPUs it was told to begin with.
    pub vcpus_told: Option<u64>,
    /// Its memory, in bytes.
    pub memory_bytes: Option<u64>,
    /// Its machine type.
    pub machine: Option<String>,
    /// Its CPU model.
    pub cpu_model: Option<String>,
    /// Its disks.
    pub disks: Vec<DiskInfo>,
    /// Its network devices.
    pub nets: Vec<NetInfo>,
    /// Its vCPUs, by number.
    pub vcpus: Vec<VcpuInfo>,
    /// When it was first told of, in nanoseconds since the Unix epoch.
    pub first_ns: i64,
    /// When it was last told of; the same where one dump only has it.
    pub last_ns: i64,
}

/// A disk of a VM, in its VMM's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "its VMM's words")]
pub struct DiskInfo {
    pub id: Option<String>,
    pub path: Option<String>,
    pub format: Option<String>,
    pub cache: Option<String>,
    pub aio: Option<String>,
    pub readonly: Option<bool>,
}

/// A network device of a VM, as its host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "its VMM's words")]
pub struct NetInfo {
    pub id: Option<String>,
    pub kind: Option<String>,
    pub ifname: Option<String>,
    pub vhost: Option<bool>,
}

/// A vCPU of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VcpuInfo {
    /// Its number.
    pub number: i64,
    /// Its thread.
    pub tid: Option<i32>,
    /// The processors on which its thread may run, as a list.
    pub cpus: Option<String>,
    /// What is added to the host's time stamp counter, by the last dump.
    pub tsc_offset: Option<i64>,
    /// The same by the first dump.
    pub tsc_offset_first: Option<i64>,
}

/// The VMs of one machine, by process.
pub(crate) fn vms(recording: &Recording, machine: usize) -> Vec<VmInfo> {
    let described = recording.described(machine);
    if !described.contains(&"virtflow_statedump_vm") {
        return Vec::new();
    }
    let choose = |name: &str| {
        name.starts_with("virtflow_statedump_v") || name.starts_with("virtflow_statedump_thread_")
    };
    let mut found = Found::default();
    let mut events = recording.events(choose, threads());
    while let Some((_, run)) = events.next_run() {
        for event in run {
            let trace = recording.traces().get(event.record.trace());
            if trace.is_some_and(|trace| trace.machine == machine) {
                found.take(event.time.as_nanos(), &event.record);
            }
        }
    }
    found.finish()
}

#[derive(Default)]
struct Found {
    vms: BTreeMap<i32, VmInfo>,
    affinity: BTreeMap<i32, String>,
}

impl Found {
    fn take(&mut self, now: i64, event: &AnyEvent) -> Option<()> {
        let told = event.value(Scope::Payload).ok().flatten()?;
        match event.name() {
            "virtflow_statedump_vm" => self.vm(now, &told),
            "virtflow_statedump_vm_disk" => {
                let disk = DiskInfo {
                    id: word(&told, "id"),
                    path: word(&told, "path"),
                    format: word(&told, "format"),
                    cache: word(&told, "cache"),
                    aio: word(&told, "aio"),
                    readonly: truth(&told, "readonly"),
                };
                add(&mut self.of(&told)?.disks, disk);
            }
            "virtflow_statedump_vm_net" => {
                let net = NetInfo {
                    id: word(&told, "id"),
                    kind: word(&told, "kind"),
                    ifname: word(&told, "ifname"),
                    vhost: truth(&told, "vhost"),
                };
                add(&mut self.of(&told)?.nets, net);
            }
            "virtflow_statedump_vcpu_tsc" => {
                let offset: i64 = number(&told, "tsc_offset")?;
                let vcpu = vcpu(self.of(&told)?, number(&told, "vcpu_id")?)?;
                vcpu.tid = number(&told, "tid").filter(|tid| *tid > 0).or(vcpu.tid);
                vcpu.tsc_offset_first = vcpu.tsc_offset_first.or(Some(offset));
                vcpu.tsc_offset = Some(offset);
            }
            "virtflow_statedump_thread_role" => {
                let vcpu_id = number(&told, "vcpu_id").filter(|id: &i64| *id >= 0)?;
                let vm = self.vms.get_mut(&number(&told, "vm_pid")?)?;
                vcpu(vm, vcpu_id)?.tid = number(&told, "tid");
            }
            "virtflow_statedump_thread_affinity" if self.affinity.len() < THREADS_MAX => {
                self.affinity
                    .insert(number(&told, "tid")?, word(&told, "list")?);
            }
            _ => {}
        }
        Some(())
    }

    fn of(&mut self, told: &Value) -> Option<&mut VmInfo> {
        self.vms.get_mut(&number(told, "pid")?)
    }

    fn vm(&mut self, now: i64, told: &Value) {
        let Some(pid) = number(told, "pid") else {
            return;
        };
        if self.vms.len() >= VMS_MAX && !self.vms.contains_key(&pid) {
            return;
        }
        let vm = self.vms.entry(pid).or_insert(VmInfo {
            pid,
            first_ns: now,
            ..VmInfo::default()
        });
        let count = |key: &str| number(told, key).filter(|count: &u64| *count > 0);
        vm.last_ns = now;
        vm.proved |= truth(told, "proved").unwrap_or(false);
        vm.name = word(told, "name");
        vm.vmm = word(told, "vmm");
        vm.machine = word(told, "machine");
        vm.cpu_model = word(told, "cpu_model");
        vm.vcpus_told = count("vcpus");
        vm.memory_bytes = count("memory_bytes");
    }

    fn finish(self) -> Vec<VmInfo> {
        let mut vms: Vec<VmInfo> = self.vms.into_values().collect();
        for vm in &mut vms {
            vm.vcpus.sort_by_key(|vcpu| vcpu.number);
            for vcpu in &mut vm.vcpus {
                vcpu.cpus = vcpu.tid.and_then(|tid| self.affinity.get(&tid).cloned());
            }
        }
        vms
    }
}

fn add<T: PartialEq>(to: &mut Vec<T>, what: T) {
    if to.len() < PARTS_MAX && !to.contains(&what) {
        to.push(what);
    }
}

fn vcpu(vm: &mut VmInfo, number: i64) -> Option<&mut VcpuInfo> {
    let at = vm.vcpus.iter().position(|vcpu| vcpu.number == number);
    if at.is_none() && vm.vcpus.len() < PARTS_MAX {
        vm.vcpus.push(VcpuInfo {
            number,
            ..VcpuInfo::default()
        });
        return vm.vcpus.last_mut();
    }
    vm.vcpus.get_mut(at?)
}

fn number<N: TryFrom<i128>>(told: &Value, key: &str) -> Option<N> {
    N::try_from(told.get(key)?.as_int()?).ok()
}

fn word(told: &Value, key: &str) -> Option<String> {
    let word = told.get(key)?.as_bytes()?;
    (!word.is_empty()).then(|| text(word))
}

/// 1 and 0; anything else is not told.
fn truth(told: &Value, key: &str) -> Option<bool> {
    match number::<i64>(told, key)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
