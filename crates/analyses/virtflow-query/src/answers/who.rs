//! What to call an entity in a sentence, which virtual processor a host thread is, and what it is
//! part of.

use crate::report::works_for;
use rustc_hash::FxHashMap;
use virtflow_history::{EntityRecord, Store};
use virtflow_model::Kind;

/// What an entity is part of, where time is summed by that: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// A container, the innermost: an entity.
    Container(u32),
    /// A VM, or nested VM, with its virtual processors and processes and the threads of its VMM: an
    /// entity.
    Vm(u32),
    /// The disks and network devices of a machine, by its number.
    Devices(u32),
    /// Everything else of a machine, by its number.
    Own(u32),
}

impl Group {
    /// Which kind of thing it is, in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container(_) => "container",
            Self::Vm(_) => "vm",
            Self::Devices(_) => "devices",
            Self::Own(_) => "host",
        }
    }

    /// The container or VM.
    pub const fn entity(self) -> Option<u32> {
        match self {
            Self::Container(entity) | Self::Vm(entity) => Some(entity),
            Self::Devices(_) | Self::Own(_) => None,
        }
    }
}

/// Names for entities.
#[derive(Debug)]
pub struct Who<'a> {
    store: &'a Store,
    /// Virtual processors by machine and host thread.
    vcpus: FxHashMap<(u32, i32), u32>,
    /// VMs by machine and the VMM's process.
    vms: FxHashMap<(u32, i32), u32>,
}

impl<'a> Who<'a> {
    /// Of this store.
    pub fn new(store: &'a Store) -> Self {
        let all = store.entities().iter();
        let vcpus = all
            .filter(|e| e.kind == Kind::Vcpu.code())
            .filter_map(|e| Some(((e.machine, e.tid?), e.entity)));
        let all = store.entities().iter();
        let vms = all
            .filter(|e| e.kind == Kind::Vm.code())
            .filter_map(|e| Some(((e.machine, e.pid?), e.entity)));
        Self {
            store,
            vcpus: vcpus.collect(),
            vms: vms.collect(),
        }
    }

    fn get(&self, entity: u32) -> Option<&'a EntityRecord> {
        self.store.entities().get(entity as usize)
    }

    /// The virtual processor that a thread is; any other entity is itself.
    pub fn resolve(&self, entity: i32) -> i32 {
        let thread = u32::try_from(entity).ok().and_then(|e| self.get(e));
        let vcpu = thread
            .filter(|e| e.kind == Kind::Thread.code())
            .and_then(|e| self.vcpus.get(&(e.machine, e.tid?)));
        vcpu.and_then(|&v| i32::try_from(v).ok()).unwrap_or(entity)
    }

    /// The virtual machine that an entity is, or is of.
    pub(super) fn vm_of(&self, entity: u32) -> Option<u32> {
        let record = self.get(entity)?;
        if matches!(
            Kind::from_code(record.kind),
            Some(Kind::Vm | Kind::NestedVm)
        ) {
            return Some(entity);
        }
        record.vm
    }

    /// The container that a host thread lives in, or that is around a container.
    pub fn container(&self, entity: u32) -> Option<u32> {
        let around = self.get(entity)?.parent?;
        let is_container = self.get(around)?.kind == Kind::Container.code();
        is_container.then_some(around)
    }

    /// What it is part of: its VM before its container, should a VMM run in one.
    pub fn group(&self, entity: u32) -> Group {
        let Some(record) = self.get(entity) else {
            return Group::Own(0);
        };
        if let Some(vm) = self.vm_of(entity).or_else(|| self.works_for(record)) {
            return Group::Vm(vm);
        }
        if record.kind == Kind::Container.code() {
            return Group::Container(entity);
        }
        match self.container(entity) {
            Some(container) => Group::Container(container),
            None if record.kind == Kind::Device.code() => Group::Devices(record.machine),
            None => Group::Own(record.machine),
        }
    }

    /// The VM that a host thread works for, as one of its virtual processors or otherwise.
    fn works_for(&self, thread: &EntityRecord) -> Option<u32> {
        if thread.kind != Kind::Thread.code() {
            return None;
        }
        let vcpu = thread
            .tid
            .and_then(|tid| self.vcpus.get(&(thread.machine, tid)));
        if let Some(vm) = vcpu.and_then(|vcpu| self.vm_of(*vcpu)) {
            return Some(vm);
        }
        let pid = works_for(&thread.label, thread.pid)?;
        self.vms.get(&(thread.machine, pid)).copied()
    }

    /// What to call a group on its machine.
    pub fn group_name(&self, group: Group) -> String {
        match group {
            Group::Container(entity) | Group::Vm(entity) => self.own_name(entity),
            Group::Devices(_) => "devices".to_owned(),
            Group::Own(_) => "the host".to_owned(),
        }
    }

    /// What a group's machine is called, where there are several.
    pub fn group_machine(&self, group: Group) -> Option<&'a str> {
        match group {
            Group::Container(entity) | Group::Vm(entity) => self.machine(entity),
            Group::Devices(number) | Group::Own(number) => self.machine_called(number),
        }
    }

    /// What its machine is called, where there are several.
    pub fn machine(&self, entity: u32) -> Option<&'a str> {
        self.machine_called(self.get(entity)?.machine)
    }

    fn machine_called(&self, number: u32) -> Option<&'a str> {
        let all = &self.store.manifest().machines;
        let machine = all.iter().find(|machine| machine.number == number)?;
        Some(machine.name.as_str()).filter(|_| all.len() > 1)
    }

    /// What to call it, and where it is if there are several machines.
    pub fn name(&self, entity: u32) -> String {
        let name = self.own_name(entity);
        match self.machine(entity) {
            Some(machine) => format!("{name} on {machine}"),
            None => name,
        }
    }

    /// What to call it on its machine.
    pub fn own_name(&self, entity: u32) -> String {
        let Some(record) = self.get(entity) else {
            return "nobody".to_owned();
        };
        let label = record.label.clone();
        let label = if label.is_empty() {
            record.key.clone()
        } else {
            label
        };
        let of = |vm: Option<u32>| {
            vm.filter(|&vm| vm != entity)
                .map_or_else(String::new, |vm| format!(" of {}", self.own_name(vm)))
        };
        let vcpu = record.vcpu.map_or_else(String::new, |v| format!(" {v}"));
        match Kind::from_code(record.kind) {
            Some(Kind::Vcpu) => format!("vCPU{vcpu}{}", of(record.vm)),
            Some(Kind::NestedVcpu) => format!("the vCPU{}", of(record.vm)),
            Some(Kind::NestedVm) => {
                // Its label begins with that of the VM around it.
                let own = label.rsplit('/').next().unwrap_or_default();
                format!("nested VM {own}{}", of(record.parent))
            }
            // One of a virtual processor: what is left of its time.
            Some(Kind::Process) if record.vcpu.is_some() => {
                format!("{label}, vCPU{vcpu}{}", of(record.vm))
            }
            Some(Kind::Process) => format!("process {label}{}", of(record.vm)),
            Some(Kind::Thread) => match record.tid {
                Some(tid) if !label.ends_with(&format!(":{tid}")) => format!("{label}:{tid}"),
                _ => label,
            },
            // It is called after its first command: its namespace's number tells it apart.
            Some(Kind::Container) => {
                let number = record.key.rsplit(':').next().unwrap_or_default();
                format!("{label}:{number}")
            }
            Some(Kind::Cpu) => format!("CPU {}", record.key.trim_start_matches("cpu:")),
            _ => label,
        }
    }
}
